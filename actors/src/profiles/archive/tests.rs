//! Round trips of archives, and archives that must be refused.

use camofleet_api::profile_request::ProfileRequest;

use super::*;
use crate::host::engine::{Engine, EngineKind};
use crate::model::profile::ProfileSettings;

const LIMIT: u64 = 1 << 20;

fn name(name: &str) -> ProfileName {
    ProfileName::parse(name).unwrap()
}

fn store(directory: &Path) -> ProfileStore {
    let settings = ProfileSettings {
        directory: directory.to_owned(),
        shared: false,
        close_patience: Duration::from_secs(5),
        import_limit: LIMIT,
    };
    let executable = PathBuf::from("/usr/bin/firefox");
    ProfileStore::new(settings, Engine { kind: EngineKind::Firefox, executable, version: None })
}

/// A store with the profile `anna`, which has some user data.
async fn store_with_anna(directory: &Path) -> ProfileStore {
    let store = store(directory);
    let body = r#"{"name": "anna", "notes": "n", "proxy": "socks5://u:p@a.example:1", "locale": "de-AT"}"#;
    store.create(ProfileRequest::parse(body.as_bytes()).unwrap()).await.unwrap();
    let data = directory.join("anna").join(DATA);
    fs::create_dir_all(data.join("storage/default/https+++a.example")).unwrap();
    fs::create_dir_all(data.join("cache2")).unwrap();
    fs::write(data.join("cookies.sqlite"), vec![7; 300_000]).unwrap();
    fs::write(data.join("storage/default/https+++a.example/idb"), "deep").unwrap();
    fs::write(data.join("cache2/entry"), "cached").unwrap();
    fs::create_dir_all(data.join(long_directory())).unwrap();
    fs::write(data.join(long_directory()).join("file"), "far").unwrap();
    store
}

/// A path that does not fit in the header of an entry.
fn long_directory() -> PathBuf {
    PathBuf::from("storage/default").join("x".repeat(120)).join("y".repeat(90))
}

async fn archive_of(store: &ProfileStore) -> Vec<u8> {
    let mut stream = store.export(name("anna")).await.unwrap();
    let mut archive = Vec::new();
    while let Some(chunk) = stream.next().await {
        archive.extend_from_slice(&chunk.unwrap());
    }
    archive
}

async fn import(store: &ProfileStore, as_name: &str, archive: &[u8], limit: u64) -> Result<Arc<Profile>> {
    let (sender, stream) = ArchiveStream::channel();
    let chunks: Vec<Bytes> = archive.chunks(1000).map(Bytes::copy_from_slice).collect();
    let sending = async move {
        for chunk in chunks {
            if sender.send(Ok(chunk)).await.is_err() {
                return;
            }
        }
    };
    futures_util::future::join(sending, store.import(name(as_name), stream, limit)).await.1
}

fn compressed(build: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    build(&mut tar);
    zstd::encode_all(tar.into_inner().unwrap().as_slice(), 1).unwrap()
}

fn header_of(size: u64, kind: EntryType) -> Header {
    let mut header = header(size, kind);
    header.set_path("././@LongLink").unwrap();
    header.set_cksum();
    header
}

#[actix::test]
async fn an_export_whose_reader_takes_nothing_for_too_long_ends_with_an_error() {
    let directory = tempfile::tempdir().unwrap();
    drop(store_with_anna(directory.path()).await);
    let noise: Vec<u8> = (0..CHUNK * CHUNKS * 2).map(|_| fastrand::u8(..)).collect();
    let place = directory.path().join("anna");
    fs::write(place.join(DATA).join("noise"), noise).unwrap();
    let (sender, mut stream) = ArchiveStream::channel();
    let writing = move || write_to(&name("anna"), &place, sender, Duration::from_millis(10));
    tokio::task::spawn_blocking(writing).await.unwrap();
    let mut last = None;
    while let Some(chunk) = stream.next().await {
        last = Some(chunk);
    }
    assert!(last.unwrap().unwrap_err().to_string().contains("its reader takes nothing"));
}

#[actix::test]
async fn an_imported_profile_is_the_exported_one_with_another_name() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store_here = store_with_anna(here.path()).await;
    let archive = archive_of(&store_here).await;
    let store_there = store(there.path());
    let imported = import(&store_there, "maria", &archive, LIMIT).await.unwrap();
    let original = store_here.list().profiles[0].clone();
    assert_eq!(*imported, Profile { name: name("maria"), ..(*original).clone() });
    assert_eq!(imported.proxy.as_ref().unwrap().server.as_deref(), Some("socks5://a.example:1"));
    let data = there.path().join("maria").join(DATA);
    assert_eq!(fs::read(data.join("cookies.sqlite")).unwrap(), vec![7; 300_000]);
    assert_eq!(fs::read(data.join("storage/default/https+++a.example/idb")).unwrap(), b"deep");
    assert_eq!(fs::read(data.join(long_directory()).join("file")).unwrap(), b"far");
    assert!(!data.join("cache2").exists(), "a cache is not exported");
    let manifest = Manifest::read(&there.path().join("maria")).unwrap();
    assert!(manifest.proxy.unwrap() == "socks5://u:p@a.example:1".parse().unwrap(), "with its credentials");

    let again = import(&store_there, "maria", &archive, LIMIT).await.unwrap_err();
    assert_eq!(again.code(), "profile_exists");
    let second = import(&store_there, "second", &archive, LIMIT).await.unwrap();
    assert_ne!(second.id, imported.id, "the same archive twice makes two profiles");
}

#[actix::test]
async fn nothing_is_exported_that_no_import_would_take() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_with_anna(directory.path()).await;
    let archive = zstd::decode_all(archive_of(&store).await.as_slice()).unwrap();
    let entries = tar::Archive::new(archive.as_slice()).entries().unwrap().raw(true).count();
    let data = directory.path().join("anna").join(DATA);
    check_size(&data, entries).unwrap();
    let error = check_size(&data, entries - 1).unwrap_err().to_string();
    assert!(error.contains("more files than an archive may have"), "{error}");
    let deep = (0..5).fold(data, |path, _| path.join("z".repeat(240)));
    fs::create_dir_all(&deep).unwrap();
    let error = store.export(name("anna")).await.unwrap_err();
    assert!(error.to_string().contains("more than 1024 bytes"), "{error}");
    store.delete(name("anna")).await.unwrap();
}

#[actix::test]
async fn an_import_whose_sender_sends_bytes_in_time_but_too_slowly_ends_with_an_error() {
    let (sender, stream) = ArchiveStream::channel();
    let mut reader = ChunkReader::new(stream, Duration::from_millis(200));
    let reading = tokio::task::spawn_blocking(move || io::copy(&mut reader, &mut io::sink()));
    let sending = async {
        while sender.send(Ok(Bytes::from_static(b"x"))).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), sending).await.unwrap();
    let error = reading.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("too slowly"), "{error}");
}

#[actix::test]
async fn an_archive_that_is_cut_off_changed_or_too_large_is_refused_and_leaves_nothing() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let archive = archive_of(&store_with_anna(here.path()).await).await;
    let store = store(there.path());
    let mut changed = zstd::decode_all(archive.as_slice()).unwrap();
    let at = changed.windows(4).position(|window| window == b"deep").unwrap();
    changed[at] = b'D';
    let changed = zstd::encode_all(changed.as_slice(), 1).unwrap();
    for (archive, limit, problem) in [
        (&archive[..archive.len() / 2], LIMIT, "incomplete frame"),
        (&archive[..archive.len() - 1], LIMIT, "incomplete frame"),
        (&archive[..0], LIMIT, "incomplete frame"),
        (b"PK\x03\x04 not zstd", LIMIT, "frame"),
        (changed.as_slice(), LIMIT, "idb is not what was exported"),
        (archive.as_slice(), 299_999, "more than 0 MB; raise RUNNER_PROFILE_IMPORT_MB"),
    ] {
        let error = import(&store, "anna", archive, limit).await.unwrap_err();
        assert_eq!(error.code(), "invalid_archive", "{error}");
        assert!(error.to_string().contains(problem), "{problem}: {error}");
    }
    assert_eq!(fs::read_dir(there.path()).unwrap().count(), 0);
}

#[actix::test]
async fn an_archive_can_write_only_into_its_own_profile() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let manifest = Manifest::new("firefox", Default::default()).to_json().unwrap();
    let file = |tar: &mut tar::Builder<Vec<u8>>, name: &str, content: &[u8]| {
        let mut header = header(content.len() as u64, EntryType::Regular);
        // As an attacker writes it: the library itself refuses such names.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, content).unwrap();
    };
    let link = |tar: &mut tar::Builder<Vec<u8>>, kind: EntryType| {
        let mut header = header(0, kind);
        tar.append_link(&mut header, "data/link", "/etc/passwd").unwrap();
    };
    type Build<'a> = Box<dyn Fn(&mut tar::Builder<Vec<u8>>) + 'a>;
    let attacks: [(Build<'_>, &str); 12] = [
        (
            Box::new(|tar| {
                let content = io::repeat(0).take(LIMIT + 1);
                tar.append_data(&mut header(LIMIT + 1, EntryType::Directory), "data/bomb/", content).unwrap();
            }),
            "more than 1 MB",
        ),
        (
            Box::new(|tar| {
                let content = io::repeat(b'x').take(LIMIT + 1);
                tar.append(&header_of(LIMIT + 1, EntryType::GNULongName), content).unwrap();
            }),
            "more than 1 MB",
        ),
        (
            Box::new(|tar| {
                let name = vec![b'x'; 1 << 19];
                tar.append_data(&mut header(1 << 19, EntryType::GNULongName), "././@LongLink", &name[..])
                    .unwrap();
                file(tar, "data/short", b"x");
            }),
            "outside of it",
        ),
        (
            Box::new(|tar| {
                let name = b"../../escaped\0";
                let mut header = header(name.len() as u64, EntryType::GNULongName);
                tar.append_data(&mut header, "././@LongLink", &name[..]).unwrap();
                file(tar, "data/short", b"x");
            }),
            "outside of it",
        ),
        (Box::new(|tar| file(tar, "data/../../escaped", b"x")), "outside of it"),
        (Box::new(|tar| file(tar, "/tmp/escaped", b"x")), "outside of it"),
        (Box::new(|tar| link(tar, EntryType::Symlink)), "only files and directories"),
        (Box::new(|tar| link(tar, EntryType::Link)), "only files and directories"),
        (
            Box::new(|tar| {
                tar.append_data(&mut header(0, EntryType::Fifo), "data/fifo", io::empty()).unwrap()
            }),
            "only files and directories",
        ),
        (Box::new(|tar| file(tar, "lease.json", b"{}")), "does not belong"),
        (Box::new(|tar| (0..2).for_each(|_| file(tar, "data/twice", b"x"))), "File exists"),
        (
            Box::new(|tar| {
                file(tar, "checksums.json", br#"{"sha256": {"data/never": "00"}}"#);
                file(tar, "data/late", b"x");
            }),
            "follows the checksums",
        ),
    ];
    for (attack, problem) in attacks {
        let archive = compressed(|tar| {
            file(tar, manifest::FILE, &manifest);
            attack(tar);
        });
        let error = import(&store, "anna", &archive, LIMIT).await.unwrap_err();
        assert!(error.to_string().contains(problem), "{problem}: {error}");
    }
    let described = |change: &dyn Fn(&mut Manifest)| {
        let mut described = Manifest::new("firefox", Default::default());
        change(&mut described);
        described.to_json().unwrap()
    };
    for (description, problem) in [
        (&br#"{"version": 9}"#[..], "a later camofleet made it"),
        (b"{", "damaged"),
        (&described(&|it| it.notes = "x".repeat(5000)), "notes: must be at most"),
        (
            &described(&|it| it.labels = (0..1000).map(|at| (at.to_string(), "x".into())).collect()),
            "labels: must",
        ),
        (&described(&|it| it.browser = "x".repeat(1 << 20)), "is too large"),
    ] {
        let archive = compressed(|tar| file(tar, manifest::FILE, description));
        let error = import(&store, "anna", &archive, 2 * LIMIT).await.unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
    }
    let without = compressed(|tar| file(tar, "data/prefs.js", b"x"));
    let error = import(&store, "anna", &without, LIMIT).await.unwrap_err();
    assert!(error.to_string().contains("the description has to be the first entry"), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    assert!(!directory.path().parent().unwrap().join("escaped").exists());
}

#[actix::test]
async fn a_reader_that_leaves_ends_the_export_and_frees_the_profile() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_with_anna(directory.path()).await;
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(4 << 20).collect();
    fs::write(directory.path().join("anna").join(DATA).join("noise"), noise).unwrap();
    let mut stream = store.export(name("anna")).await.unwrap();
    stream.next().await.unwrap().unwrap();
    assert_eq!(store.delete(name("anna")).await.unwrap_err().code(), "profile_in_use");
    drop(stream);
    let deleted = async {
        while store.delete(name("anna")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), deleted).await.unwrap();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[actix::test]
async fn a_limited_number_of_archives_are_on_their_way_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_with_anna(directory.path()).await;
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(4 << 20).collect();
    fs::write(directory.path().join("anna").join(DATA).join("noise"), noise).unwrap();
    let mut streams = Vec::new();
    while let Ok(stream) = store.export(name("anna")).await {
        streams.push(stream);
    }
    assert_eq!(streams.len(), 8);
    let refused = store.export(name("anna")).await.unwrap_err();
    assert_eq!((refused.code(), refused.status()), ("busy", 503));
    streams.clear();
    let export = async {
        while store.export(name("anna")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await
        }
    };
    tokio::time::timeout(Duration::from_secs(10), export).await.unwrap();
}
