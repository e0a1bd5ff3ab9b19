//! Benchmarks the egress of one browser, without a browser: throughput interleaved with a direct connection, many downloads at
//! once, a reader that stops, and the memory of idle connections. Run `cargo bench -p camofleet-web --bench egress` on an
//! otherwise idle machine.

// A failed measurement panics where it failed.
#![allow(clippy::unwrap_used)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use support::{Options, api};

/// The number of measurements of each kind.
const ROUNDS: usize = 7;
/// The bytes of one of them.
const BYTES: usize = 2 << 30;
/// How many downloads run at once, and the bytes of each.
const DOWNLOADS: usize = 20;
const DOWNLOAD: usize = 64 << 20;
/// How many connections are idle.
const IDLE: usize = 500;

/// The orders of a client to the source, in its first byte.
const SEND: u8 = b's';
const TAKE: u8 = b'u';
const WAIT: u8 = b'w';

/// Serves one connection of the source: sends or takes as much as the client reads or writes.
fn serve(mut stream: TcpStream) {
    let mut order = [0];
    if stream.read_exact(&mut order).is_err() {
        return;
    }
    let mut buffer = vec![7; 256 << 10];
    match order[0] {
        SEND => while stream.write_all(&buffer).is_ok() {},
        TAKE => while stream.read(&mut buffer).is_ok_and(|bytes| bytes > 0) {},
        _ => {
            drop(buffer);
            let _ = stream.read(&mut order);
        }
    }
}

/// A connection by the egress.
fn by_egress(socket: &Path, to: SocketAddr) -> UnixStream {
    let mut stream = UnixStream::connect(socket).unwrap();
    let SocketAddr::V4(to) = to else { panic!("the source has another address") };
    let mut request = vec![5, 1, 0, 5, 1, 0, 1];
    request.extend(to.ip().octets());
    request.extend(to.port().to_be_bytes());
    stream.write_all(&request).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[3], 0, "the egress refused");
    stream
}

/// Bytes a second in one direction.
fn throughput(mut stream: impl Read + Write, order: u8) -> f64 {
    stream.write_all(&[order]).unwrap();
    let mut buffer = vec![0; 256 << 10];
    let start = Instant::now();
    let mut left = BYTES;
    while left > 0 {
        let moved = if order == SEND {
            stream.read(&mut buffer).unwrap()
        } else {
            stream.write_all(&buffer).unwrap();
            buffer.len()
        };
        left = left.saturating_sub(moved);
    }
    BYTES as f64 / start.elapsed().as_secs_f64()
}

/// The resident memory of this process, in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

fn median(values: &mut [f64]) -> String {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values[index] * 1e-9;
    format!("{:.2} GB/s ({:.2}–{:.2})", at(values.len() / 2), at(0), at(values.len() - 1))
}

fn measure(socket: &Path, source: SocketAddr) {
    for (name, order) in [("download", SEND), ("upload", TAKE)] {
        let rounds = (0..ROUNDS).map(|_| {
            (
                throughput(TcpStream::connect(source).unwrap(), order),
                throughput(by_egress(socket, source), order),
            )
        });
        let (mut direct, mut egress): (Vec<f64>, Vec<f64>) = rounds.unzip();
        println!("{name}: direct {}, by the egress {}", median(&mut direct), median(&mut egress));
    }

    let before = resident();
    let start = Instant::now();
    let downloads: Vec<_> = (0..DOWNLOADS)
        .map(|_| {
            let mut stream = by_egress(socket, source);
            thread::spawn(move || {
                stream.write_all(&[SEND]).unwrap();
                let (mut buffer, mut left) = (vec![0; 64 << 10], DOWNLOAD);
                while left > 0 {
                    left = left.saturating_sub(stream.read(&mut buffer).unwrap());
                }
                start.elapsed()
            })
        })
        .collect();
    let most = resident();
    let mut times: Vec<Duration> = downloads.into_iter().map(|download| download.join().unwrap()).collect();
    times.sort();
    println!(
        "{DOWNLOADS} downloads of {} MiB at once: the first ended after {:.2?}, the last after {:.2?}; {} KiB of memory more",
        DOWNLOAD >> 20,
        times[0],
        times[times.len() - 1],
        most.saturating_sub(before) >> 10
    );

    let before = resident();
    let stopped: Vec<_> = (0..DOWNLOADS)
        .map(|_| {
            let mut stream = by_egress(socket, source);
            stream.write_all(&[SEND]).unwrap();
            stream
        })
        .collect();
    thread::sleep(Duration::from_secs(1));
    println!(
        "{DOWNLOADS} readers that stopped: {} KiB of memory each",
        (resident().saturating_sub(before) >> 10) / stopped.len()
    );
    drop(stopped);

    let before = resident();
    let idle: Vec<_> = (0..IDLE)
        .map(|_| {
            let mut stream = by_egress(socket, source);
            stream.write_all(&[WAIT]).unwrap();
            stream
        })
        .collect();
    thread::sleep(Duration::from_secs(1));
    let all = resident().saturating_sub(before);
    println!(
        "{IDLE} idle connections: {:.1} KiB of memory each, the threads of the source included",
        all as f64 / 1024.0 / IDLE as f64
    );
    drop(idle);
}

/// The only egress socket below a directory.
fn socket_below(directory: &Path) -> Option<PathBuf> {
    fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path()).find_map(|path| {
        match path.file_name() {
            Some(name) if name == "egress.sock" => Some(path),
            _ => path.is_dir().then(|| socket_below(&path)).flatten(),
        }
    })
}

fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let source = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::Builder::new().stack_size(64 << 10).spawn(move || serve(stream)).unwrap();
        }
    });
    actix_rt::System::new().block_on(async move {
        let api = api(Options::default()).await;
        api.create(r#"{"headless":true}"#).await;
        let socket = socket_below(api.run_base()).unwrap();
        // On other threads than the actors', as a browser would be.
        tokio::task::spawn_blocking(move || measure(&socket, source)).await.unwrap();
        api.stop().await;
    });
}
