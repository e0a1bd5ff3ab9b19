//! Benchmarks the attach relay: round trips and throughput through a complete server, interleaved with the same on a direct
//! connection. Run `cargo bench -p camofleet-web --bench relay` on an otherwise idle machine.

// A failed measurement panics where it failed.
#![allow(clippy::unwrap_used)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use support::{Options, api};

/// The number of measurements of each kind.
const ROUNDS: usize = 7;
const ROUND_TRIPS: usize = 20_000;
const ROUND_TRIP_PAYLOAD: usize = 1 << 10;
const FRAME_PAYLOAD: usize = 64 << 10;
const FRAMES: usize = 32_000;

/// A frame with an arbitrary payload. Clients' frames are masked.
fn frame(payload: usize, masked: bool) -> Vec<u8> {
    let mask_bit = if masked { 0x80 } else { 0 };
    let mut frame = vec![0x82];
    if payload < 1 << 16 {
        frame.push(mask_bit | 126);
        frame.extend(u16::try_from(payload).unwrap().to_be_bytes());
    } else {
        frame.push(mask_bit | 127);
        frame.extend((payload as u64).to_be_bytes());
    }
    if masked {
        frame.extend([0; 4]);
    }
    frame.resize(frame.len() + payload, 7);
    frame
}

/// The stand-in for a browser, controlled by the first byte that the client sends.
fn browser(mut stream: TcpStream) {
    let head = read_head(&mut stream);
    let key = head.lines().find(|line| line.to_ascii_lowercase().starts_with("sec-websocket-key"));
    let key = key.and_then(|line| line.split_once(": ")).map(|(_, key)| key.trim()).unwrap_or_default();
    let accept = actix_http::ws::hash_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        std::str::from_utf8(&accept).unwrap()
    );
    stream.write_all(answer.as_bytes()).unwrap();
    stream.set_nodelay(true).unwrap();
    // The first byte of the first payload selects the measurement.
    let mut order = vec![0; frame(1 << 10, true).len()];
    stream.read_exact(&mut order).unwrap();
    let (echo, source) = (frame(ROUND_TRIP_PAYLOAD, false), frame(FRAME_PAYLOAD, false));
    match order.last() {
        Some(b'e') => {
            let mut request = vec![0; frame(ROUND_TRIP_PAYLOAD, true).len()];
            while stream.read_exact(&mut request).is_ok() {
                stream.write_all(&echo).unwrap();
            }
        }
        Some(b's') => (0..FRAMES).for_each(|_| stream.write_all(&source).unwrap()),
        _ => {
            let mut left = frame(FRAME_PAYLOAD, true).len() * FRAMES;
            let mut buffer = vec![0; 256 << 10];
            while left > 0 {
                left -= stream.read(&mut buffer).unwrap();
            }
            stream.write_all(&echo).unwrap();
        }
    }
    // Until the client has read everything.
    let _ = stream.read(&mut [0]);
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

fn connect(address: &str, path: &str, order: u8) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let head = read_head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    let mut first = frame(1 << 10, true);
    *first.last_mut().unwrap() = order;
    stream.write_all(&first).unwrap();
    stream
}

/// Microseconds of the median round trip.
fn round_trip(address: &str, path: &str) -> f64 {
    let mut stream = connect(address, path, b'e');
    let (request, mut answer) = (frame(ROUND_TRIP_PAYLOAD, true), frame(ROUND_TRIP_PAYLOAD, false));
    let mut times: Vec<Duration> = (0..ROUND_TRIPS)
        .map(|_| {
            let start = Instant::now();
            stream.write_all(&request).unwrap();
            stream.read_exact(&mut answer).unwrap();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e6
}

/// Bytes a second from the browser.
fn download(address: &str, path: &str) -> f64 {
    let mut stream = connect(address, path, b's');
    let total = frame(FRAME_PAYLOAD, false).len() * FRAMES;
    let mut buffer = vec![0; 256 << 10];
    let start = Instant::now();
    let mut left = total;
    while left > 0 {
        left -= stream.read(&mut buffer).unwrap();
    }
    total as f64 / start.elapsed().as_secs_f64()
}

/// Bytes a second to the browser.
fn upload(address: &str, path: &str) -> f64 {
    let mut stream = connect(address, path, b'u');
    let request = frame(FRAME_PAYLOAD, true);
    let start = Instant::now();
    (0..FRAMES).for_each(|_| stream.write_all(&request).unwrap());
    stream.read_exact(&mut [0]).unwrap();
    (request.len() * FRAMES) as f64 / start.elapsed().as_secs_f64()
}

fn show(name: &str, unit: &str, scale: f64, direct: &mut [f64], relayed: &mut [f64]) {
    let summary = |values: &mut [f64]| {
        values.sort_by(f64::total_cmp);
        let (first, last) = (values[0] * scale, values[values.len() - 1] * scale);
        (values[values.len() / 2] * scale, format!("{first:.2}–{last:.2}"))
    };
    let ((direct, direct_spread), (relayed, relayed_spread)) = (summary(direct), summary(relayed));
    println!(
        "{name}: direct {direct:.2} {unit} ({direct_spread}), relayed {relayed:.2} {unit} ({relayed_spread}), \
         difference {:+.2} {unit}, ratio {:.2}",
        relayed - direct,
        relayed / direct
    );
}

/// A measurement's name, its unit, the factor for that unit, and its function.
type Kind = (&'static str, &'static str, f64, fn(&str, &str) -> f64);

fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let direct = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || browser(stream));
        }
    });
    actix_rt::System::new().block_on(async move {
        let options = Options::default();
        options.os.set_endpoint(format!("ws://{direct}/"));
        let api = api(options).await;
        let session = api.create(r#"{"headless":true}"#).await;
        let path = format!("/sessions/local/{}/ws", session["id"].as_str().unwrap());
        let relay = api.origin.trim_start_matches("http://").to_owned();
        // On another thread than the actors', as a client would be.
        let measured = tokio::task::spawn_blocking(move || {
            let kinds: [Kind; 3] = [
                ("1 KiB round trip, p50", "µs", 1.0, round_trip),
                ("64 KiB frames from the browser", "GB/s", 1e-9, download),
                ("64 KiB frames to the browser", "GB/s", 1e-9, upload),
            ];
            for (name, unit, scale, measure) in kinds {
                let rounds = (0..ROUNDS).map(|_| (measure(&direct, "/"), measure(&relay, &path)));
                let (mut direct_values, mut relayed): (Vec<f64>, Vec<f64>) = rounds.unzip();
                show(name, unit, scale, &mut direct_values, &mut relayed);
            }
        });
        measured.await.unwrap();
        api.stop().await;
    });
}
