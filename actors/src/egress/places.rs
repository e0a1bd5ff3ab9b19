//! The places of addresses, from a city database in MaxMind's format.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use jiff::Timestamp;
use maxminddb::{Mmap, Reader};
use serde_json::Value;
use tzf_rs::EmbeddedFinder;

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
        country: text(["/country/iso_code", "/country_code"]),
        city: text(["/city/names/en", "/city"]),
        timezone: coordinates
            .and_then(|(longitude, latitude)| timezone(longitude, latitude))
            .or_else(|| text(["/location/time_zone", "/timezone"])),
    }
}

/// The time zone at these coordinates. Its data is read on first use.
fn timezone(longitude: f64, latitude: f64) -> Option<String> {
    static FINDER: OnceLock<EmbeddedFinder> = OnceLock::new();
    let name = FINDER.get_or_init(EmbeddedFinder::new).get_tz_name(longitude, latitude);
    (!name.is_empty()).then(|| name.to_owned())
}
