//! Archives of profiles: one `.tar.zst` with everything that another worker needs.
//!
//! The first entry is `profile.json`, then come the user data below `data/`, and the last one is `checksums.json`: the SHA-256
//! of every entry before it. An archive without it was cut off.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use camofleet_api::profile::{Profile, ProfileName};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use super::files;
use super::manifest::{self, Manifest};
use super::store::{DATA, ProfileStore, storage};
use crate::model::error::Result;
use crate::model::profile::ProfileError;

/// The last entry.
const CHECKSUMS: &str = "checksums.json";
/// The size of the chunks in which an archive is sent, in bytes.
const CHUNK: usize = 64 << 10;
/// How many chunks wait for a slow reader.
const CHUNKS: usize = 8;
/// How long a reader or writer of an archive may take for one chunk.
const STALL: Duration = Duration::from_secs(60);
/// How slowly an archive may be read or sent on the whole, in bytes per second: a profile can't be used meanwhile.
const SLOWEST: u64 = 32 << 10;
/// The compression: about what a disk can write, and half the size.
const LEVEL: i32 = 3;
/// The largest window of compressed data that is read, as a power of two of bytes: it bounds the memory.
const WINDOW_LOG: u32 = 24;
/// How many entries an archive may have. A profile has some hundred.
const ENTRIES: usize = 100_000;
/// The longest name that fits in the header of an entry, in bytes; a longer one is an entry of its own.
const HEADER_NAME: usize = 100;
/// The longest name of an entry, in bytes.
const NAME_LIMIT: u64 = 1024;
/// What a checksum takes in their list beside the name, in bytes: 64 digits in quotes, a colon and a comma.
const CHECKSUM_TEXT: u64 = 68;
/// The largest description and list of checksums, in bytes.
const TEXT_LIMIT: u64 = 16 << 20;

/// The chunks of an archive on their way.
#[derive(Debug)]
pub struct ArchiveStream(mpsc::Receiver<io::Result<Bytes>>);

impl ArchiveStream {
    /// A stream, and where its chunks are put in. The stream ends when the sender is dropped.
    pub fn channel() -> (mpsc::Sender<io::Result<Bytes>>, Self) {
        // One place more, for the error that ends it.
        let (sender, receiver) = mpsc::channel(CHUNKS + 1);
        (sender, Self(receiver))
    }

    /// The next chunk; `None` at the end.
    pub async fn next(&mut self) -> Option<io::Result<Bytes>> {
        self.0.recv().await
    }
}

/// What was written into an archive.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Checksums {
    /// The SHA-256 of each entry, in hexadecimal digits.
    sha256: BTreeMap<String, String>,
}

impl ProfileStore {
    /// Exports a profile that no session writes.
    ///
    /// # Errors
    /// [`ProfileError::NotFound`], [`ProfileError::InUse`], or the storage fails. Errors while it is sent end the stream.
    pub async fn export(&self, name: ProfileName) -> Result<ArchiveStream> {
        let (sender, stream) = ArchiveStream::channel();
        let exported = name.clone();
        let (permit, guard, directory) = self
            .run(move |store| {
                let (permit, directory) = (store.archive_permit()?, store.existing(&name)?);
                let guard = store.guard(&name, &directory, false)?;
                check_size(&directory.join(DATA), ENTRIES).map_err(|error| storage(&name, &error))?;
                Ok((permit, guard, directory))
            })
            .await?;
        tokio::task::spawn_blocking(move || {
            write_to(&exported, &directory, sender, STALL);
            drop((permit, guard));
        });
        Ok(stream)
    }

    /// Makes a profile of an archive. `limit`: how many bytes it may have unpacked.
    ///
    /// # Errors
    /// [`ProfileError::InvalidArchive`], [`ProfileError::Exists`], or the storage fails. Nothing is left then.
    pub async fn import(&self, name: ProfileName, stream: ArchiveStream, limit: u64) -> Result<Arc<Profile>> {
        self.run(move |store| {
            let _permit = store.archive_permit()?;
            if store.path(&name).exists() {
                return Err(ProfileError::Exists { name });
            }
            let made = store.temporary()?;
            let invalid = |error: Unpack| match error {
                Unpack::Invalid(problem) => ProfileError::InvalidArchive { problem },
                Unpack::Storage(error) => storage(&name, &error),
            };
            let mut manifest = unpack(ChunkReader::new(stream, STALL), &made.path, limit).map_err(invalid)?;
            if store.has_id(manifest.id) {
                // A second copy beside the first one is another profile.
                manifest.id = Uuid::new_v4();
            }
            manifest.write(&made.path).map_err(|error| storage(&name, &error))?;
            store.establish(&name, made)?;
            store.published(&name)
        })
        .await
    }
}

/// Writes the archive of a profile to a reader that takes each chunk within `stall`.
fn write_to(name: &ProfileName, directory: &Path, sender: mpsc::Sender<io::Result<Bytes>>, stall: Duration) {
    // Without an error the archive would seem to end here, so a reader that takes nothing more gets it too.
    let Ok(place_for_error) = sender.clone().try_reserve_owned() else { return };
    if let Err(error) = write(directory, ChunkWriter::new(sender, stall)) {
        place_for_error.send(Err(io::Error::other(storage(name, &error).to_string())));
    }
}

fn write(directory: &Path, writer: ChunkWriter) -> io::Result<()> {
    let compressed = zstd::Encoder::new(writer, LEVEL)?;
    let mut tar = tar::Builder::new(compressed);
    let mut checksums = Checksums::default();
    let manifest = Manifest::read(directory)?.to_json()?;
    append(&mut tar, manifest::FILE, &mut manifest.as_slice(), manifest.len() as u64, &mut checksums)?;
    let data = directory.join(DATA);
    files::visit(&data, &mut |entry| {
        let path = match entry {
            files::Entry::Directory(path) => {
                let mut header = header(0, EntryType::Directory);
                let name = format!("{}/", entry_name(path)?);
                return tar.append_data(&mut header, name, io::empty());
            }
            files::Entry::File(path) => path,
        };
        let mut file = File::open(data.join(path))?;
        let size = file.metadata()?.len();
        append(&mut tar, &entry_name(path)?, &mut file, size, &mut checksums)
    })?;
    let checksums = serde_json::to_vec(&checksums)?;
    let mut header = header(checksums.len() as u64, EntryType::Regular);
    tar.append_data(&mut header, CHECKSUMS, checksums.as_slice())?;
    tar.into_inner()?.finish()?.flush()
}

/// Refuses user data of which no import would take the archive.
fn check_size(data: &Path, limit: usize) -> io::Result<()> {
    // The description, and the list of checksums.
    let (mut entries, mut checksums) = (2, 0);
    files::visit(data, &mut |entry| {
        let name = match entry {
            files::Entry::Directory(path) => format!("{}/", entry_name(path)?),
            files::Entry::File(path) => {
                let name = entry_name(path)?;
                checksums += serde_json::to_string(&name)?.len() as u64 + CHECKSUM_TEXT;
                name
            }
        };
        entries += if name.len() <= HEADER_NAME { 1 } else { 2 };
        if name.len() as u64 > NAME_LIMIT {
            return Err(io::Error::other(format!(
                "the path of a file has more than {NAME_LIMIT} bytes: {name}"
            )));
        }
        if entries > limit || checksums > TEXT_LIMIT {
            return Err(io::Error::other("it has more files than an archive may have"));
        }
        Ok(())
    })
}

/// The name of a file of the user data in an archive.
fn entry_name(path: &Path) -> io::Result<String> {
    let name = path.to_str().ok_or_else(|| io::Error::other("a file's name is not UTF-8"))?;
    Ok(format!("{DATA}/{name}"))
}

fn header(size: u64, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(if kind == EntryType::Directory { 0o700 } else { 0o600 });
    header.set_mtime(0);
    header
}

fn append<W: Write>(
    tar: &mut tar::Builder<W>,
    name: &str,
    content: &mut dyn Read,
    size: u64,
    checksums: &mut Checksums,
) -> io::Result<()> {
    let mut hashing = Hashing { content: content.take(size), hash: Sha256::new(), read: 0 };
    tar.append_data(&mut header(size, EntryType::Regular), name, &mut hashing)?;
    if hashing.read != size {
        return Err(io::Error::other(format!("{name} changed while it was read")));
    }
    checksums.sha256.insert(name.to_owned(), hex(&hashing.hash.finalize()));
    Ok(())
}

/// Reads a content and hashes it.
struct Hashing<R> {
    content: R,
    hash: Sha256,
    read: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(into)?;
        self.hash.update(&into[..count]);
        self.read += count as u64;
        Ok(count)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why an archive was not unpacked.
enum Unpack {
    /// It is not valid.
    Invalid(String),
    /// It can't be written.
    Storage(io::Error),
}

/// Unpacks an archive into an existing empty directory; returns its description.
fn unpack(archive: impl Read, to: &Path, limit: u64) -> Result<Manifest, Unpack> {
    let broken = |error: io::Error| Unpack::Invalid(error.to_string());
    let mut decoder = zstd::Decoder::new(archive).map_err(broken)?;
    decoder.window_log_max(WINDOW_LOG).map_err(broken)?;
    let mut tar = tar::Archive::new(decoder);
    files::make_directory(&to.join(DATA)).map_err(Unpack::Storage)?;
    let (mut found, mut expected, mut manifest) = (BTreeMap::new(), None, None);
    let (mut left, mut long_name) = (limit, None);
    // Raw, because the library would read a long name of any length into memory.
    for (number, entry) in tar.entries().map_err(broken)?.raw(true).enumerate() {
        let mut entry = entry.map_err(broken)?;
        // All of them, for what is skipped is unpacked too.
        if number >= ENTRIES {
            return Err(Unpack::Invalid(format!("it has more than {ENTRIES} entries")));
        }
        let size = entry.size();
        left = left.checked_sub(size).ok_or_else(|| {
            Unpack::Invalid(format!(
                "it unpacks to more than {} MB; raise RUNNER_PROFILE_IMPORT_MB",
                limit >> 20
            ))
        })?;
        if entry.header().entry_type() == EntryType::GNULongName {
            long_name = Some(read_long_name(&mut entry).map_err(broken)?);
            continue;
        }
        let path = match long_name.take() {
            Some(path) => path,
            None => entry.path().map_err(broken)?.into_owned(),
        };
        let name = plain_name(&path)
            .ok_or_else(|| Unpack::Invalid(format!("it has an entry outside of it: {}", path.display())))?;
        let invalid = |problem: &str| Unpack::Invalid(format!("{name}: {problem}"));
        if expected.is_some() {
            return Err(invalid("it follows the checksums"));
        }
        match entry.header().entry_type() {
            EntryType::Directory if name.starts_with("data/") || name == DATA => {
                match fs::create_dir(to.join(&name)) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                        return Err(Unpack::Storage(error));
                    }
                    _ => continue,
                }
            }
            EntryType::Regular => {}
            _ => return Err(invalid("only files and directories are allowed")),
        }
        let mut content = Hashing { content: &mut entry, hash: Sha256::new(), read: 0 };
        match name.as_str() {
            manifest::FILE | CHECKSUMS => {
                let mut text = Vec::new();
                content.by_ref().take(TEXT_LIMIT).read_to_end(&mut text).map_err(broken)?;
                if name == CHECKSUMS {
                    let read: Checksums = serde_json::from_slice(&text)
                        .map_err(|error| invalid(&format!("it is damaged: {error}")))?;
                    expected = Some(read.sha256);
                    continue;
                }
                let read = Manifest::parse(&text).map_err(broken)?;
                read.check().map_err(broken)?;
                manifest = Some(read);
            }
            _ if manifest.is_none() => return Err(invalid("the description has to be the first entry")),
            _ if name.starts_with("data/") => {
                let mut file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(to.join(&name))
                    .map_err(|error| invalid(&error.to_string()))?;
                copy(&mut content, &mut file)?;
            }
            _ => return Err(invalid("it does not belong to a profile")),
        }
        if content.read != size {
            return Err(invalid("it is not complete"));
        }
        found.insert(name, hex(&content.hash.finalize()));
    }
    let expected = expected.ok_or_else(|| Unpack::Invalid("it is not complete".to_owned()))?;
    if let Some((name, _)) = found.iter().find(|(name, hash)| expected.get(*name) != Some(hash)) {
        return Err(Unpack::Invalid(format!("{name} is not what was exported")));
    }
    if let Some(name) = expected.keys().find(|name| !found.contains_key(*name)) {
        return Err(Unpack::Invalid(format!("{name} is missing")));
    }
    manifest.ok_or_else(|| Unpack::Invalid("it has no description".to_owned()))
}

/// Reads the name of the next entry, which is too long for a header.
fn read_long_name(entry: &mut impl Read) -> io::Result<PathBuf> {
    let mut name = Vec::new();
    entry.take(NAME_LIMIT + 2).read_to_end(&mut name)?;
    if name.last() == Some(&0) {
        name.pop();
    }
    let text = String::from_utf8(name).map_err(|_| io::Error::other("a name is not UTF-8"))?;
    Ok(PathBuf::from(text))
}

/// Copies a content, and tells errors of the archive from those of the disk.
fn copy(from: &mut impl Read, to: &mut File) -> Result<(), Unpack> {
    let mut buffer = [0; CHUNK];
    loop {
        match from.read(&mut buffer).map_err(|error| Unpack::Invalid(error.to_string()))? {
            0 => return Ok(()),
            count => to.write_all(&buffer[..count]).map_err(Unpack::Storage)?,
        }
    }
}

/// The name of an entry, if it leads nowhere else and is a name that a profile can have.
fn plain_name(path: &Path) -> Option<String> {
    let plain: PathBuf = path.components().filter(|part| !matches!(part, Component::CurDir)).collect();
    let inside = plain.components().all(|part| matches!(part, Component::Normal(_)));
    let name = plain.to_str().filter(|name| inside && !name.is_empty() && name.len() as u64 <= NAME_LIMIT)?;
    Some(name.to_owned())
}

/// Sends what is written in chunks.
struct ChunkWriter {
    sender: mpsc::Sender<io::Result<Bytes>>,
    pace: Pace,
    buffer: BytesMut,
}

impl ChunkWriter {
    fn new(sender: mpsc::Sender<io::Result<Bytes>>, stall: Duration) -> Self {
        Self { sender, pace: Pace::new(stall), buffer: BytesMut::with_capacity(CHUNK) }
    }
}

impl Write for ChunkWriter {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(content);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(content.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = self.buffer.split().freeze();
        self.pace.count(chunk.len());
        match self.pace.wait(self.sender.send(Ok(chunk))) {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            None => Err(io::Error::new(io::ErrorKind::TimedOut, "its reader takes nothing, or too slowly")),
        }
    }
}

/// How long the other side of a transfer may still take. What this side takes, for its disk, is not counted.
struct Pace {
    stall: Duration,
    bytes: u64,
    waited: Duration,
}

impl Pace {
    fn new(stall: Duration) -> Self {
        Self { stall, bytes: 0, waited: Duration::ZERO }
    }

    /// Counts what was transferred.
    fn count(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// Waits for the other side; `None` if it is too slow. What is ready already is never too slow.
    fn wait<T>(&mut self, transfer: impl Future<Output = T>) -> Option<T> {
        let all = self.stall + Duration::from_secs(self.bytes / SLOWEST);
        let left = all.saturating_sub(self.waited).min(self.stall);
        let started = Instant::now();
        let done = Handle::current().block_on(async { tokio::time::timeout(left, transfer).await });
        self.waited += started.elapsed();
        done.ok()
    }
}

/// Reads the chunks of a stream.
struct ChunkReader {
    stream: ArchiveStream,
    pace: Pace,
    chunk: Bytes,
}

impl ChunkReader {
    fn new(stream: ArchiveStream, stall: Duration) -> Self {
        Self { stream, pace: Pace::new(stall), chunk: Bytes::new() }
    }
}

impl Read for ChunkReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.pace.wait(self.stream.next()) {
                Some(Some(chunk)) => self.chunk = chunk?,
                Some(None) => return Ok(0),
                None => {
                    let problem = "its sender sends nothing, or too slowly";
                    return Err(io::Error::new(io::ErrorKind::TimedOut, problem));
                }
            }
            self.pace.count(self.chunk.len());
        }
        let count = self.chunk.len().min(into.len());
        self.chunk.copy_to_slice(&mut into[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
