//! The behaviour of the fake machine's programs.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use camofleet_api::identity::Contradiction;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::sync::{mpsc, oneshot};

use super::{FakeOs, Fault, LAUNCH_TIME, LaunchedMachine};
use crate::driver::protocol::{Command, Event, LaunchOptions};
use crate::identities::protocol as maker;
use crate::process::ProcessEnd;

/// A marker in an event's text: the line is written as invalid JSON.
const UNREADABLE: &str = "(half an emoji)";

/// The width and height of every screen, in pixels; all of them are green.
const SCREEN: [u16; 2] = [64, 36];
const GREEN: [u8; 4] = [70, 160, 20, 0];

impl FakeOs {
    /// How many X servers use this display.
    pub(super) fn x_servers(&self, display: u16) -> usize {
        self.machine().alive.values().filter(|process| process.display == Some(display)).count()
    }

    /// An X server: writes its display number when it is ready, as with `-displayfd 1`.
    pub(super) async fn x_server(
        self,
        pid: u32,
        display: String,
        mut stdout: DuplexStream,
        mut stderr: DuplexStream,
    ) {
        let number = display.parse().ok();
        let others = number.is_some_and(|number| self.x_servers(number) > 1);
        if others {
            let _ = stderr
                .write_all(format!("Server is already active for display {display}\n").as_bytes())
                .await;
            self.end(pid, ProcessEnd::Exited(1));
        } else if self.fails(Fault::DisplayDies) {
            let _ = stderr.write_all(b"Fatal server error: Cannot establish any listening sockets\n").await;
            self.end(pid, ProcessEnd::Exited(1));
        } else if self.fails(Fault::DisplayHangs) {
            std::future::pending::<()>().await;
        } else {
            tokio::time::sleep(Duration::from_millis(15)).await;
            let _ = stdout.write_all(format!("{display}\n").as_bytes()).await;
        }
    }

    /// An X server's connection to one client. A stopped server still accepts the connection, as the kernel does.
    pub(super) async fn x_client(self, server: u32, mut client: DuplexStream) {
        let _ = async {
            skip(&mut client, 12 + 20 + 16).await?;
            self.running(server).await;
            client.write_all(&[1, 0, 11, 0, 0, 0, 1, 0, 0, 0, 0, 0]).await?;
            skip(&mut client, 4).await?;
            client.write_all(&[0; 32]).await
        }
        .await;
    }

    pub(super) async fn x11vnc(self, socket: &str, mut stderr: DuplexStream) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let _ = stderr.write_all(format!("listening on unix socket: {socket} fd=8\n").as_bytes()).await;
    }

    /// A VNC server's connection to one viewer (RFC 6143), until the viewer disconnects.
    pub(super) async fn vnc_server(self, viewer: DuplexStream) {
        let _ = self.show_screen(viewer).await;
    }

    async fn show_screen(self, mut viewer: DuplexStream) -> io::Result<()> {
        if self.fails(Fault::VncHangs) {
            std::future::pending::<()>().await;
        }
        viewer.write_all(b"RFB 003.008\n").await?;
        skip(&mut viewer, 12).await?;
        if self.fails(Fault::VncBreaks) {
            return Ok(());
        }
        let requires_password = ["Xvnc", "x11vnc"].iter().any(|server| {
            let arguments = self.arguments(server);
            arguments.iter().any(|argument| argument == "-rfbauth" || argument.starts_with("-PasswordFile="))
        });
        viewer.write_all(&[1, if requires_password { 2 } else { 1 }]).await?;
        if viewer.read_u8().await? == 2 {
            viewer.write_all(&[7; 16]).await?;
            // Any answer to the challenge is accepted.
            skip(&mut viewer, 16).await?;
        }
        viewer.write_all(&[0; 4]).await?;
        skip(&mut viewer, 1).await?;
        let [width, height] = SCREEN;
        let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
        let format = [32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0];
        viewer.write_all(&[&size[..], &format, b"\0\0\0\x04fake"].concat()).await?;
        loop {
            match viewer.read_u8().await? {
                0 => skip(&mut viewer, 19).await?,
                2 => {
                    skip(&mut viewer, 1).await?;
                    let count = viewer.read_u16().await?;
                    skip(&mut viewer, 4 * u64::from(count)).await?;
                }
                3 => {
                    let incremental = viewer.read_u8().await? != 0;
                    skip(&mut viewer, 8).await?;
                    if !incremental {
                        self.machine().screens_sent += 1;
                        let pixels = GREEN.repeat(usize::from(width) * usize::from(height));
                        let head = [&[0, 0, 0, 1, 0, 0, 0, 0][..], &size, &[0; 4]].concat();
                        viewer.write_all(&[head, pixels].concat()).await?;
                    }
                }
                4 => skip(&mut viewer, 7).await?,
                5 => skip(&mut viewer, 5).await?,
                _ => return Ok(()),
            }
        }
    }

    /// The driver's protocol with camofleet.
    pub(super) async fn driver(self, pid: u32, stdin: DuplexStream, mut stdout: DuplexStream) {
        if self.fails(Fault::DriverDies) {
            return self.end(pid, ProcessEnd::Exited(1));
        }
        let (events, mut outgoing) = mpsc::unbounded_channel::<Event>();
        let _ = events.send(Event::Hello { playwright: "1.62.1".into(), node: "20.0.0".into() });
        if self.fails(Fault::DriverHangs) {
            self.stop(pid);
        }
        let mut lines = BufReader::new(stdin).lines();
        let mut browsers: HashMap<String, u32> = HashMap::new();
        loop {
            tokio::select! {
                Some(event) = outgoing.recv() => {
                    let mut line = serde_json::to_string(&event).unwrap_or_default();
                    // A lone surrogate, which JavaScript can write.
                    line = line.replace(UNREADABLE, "\\ud83d");
                    line.push('\n');
                    if stdout.write_all(line.as_bytes()).await.is_err() {
                        return;
                    }
                }
                line = lines.next_line() => match line {
                    Ok(Some(line)) => {
                        self.running(pid).await;
                        self.obey(&line, &mut browsers, &events);
                    }
                    _ => {
                        browsers.values().for_each(|browser| self.kill(*browser));
                        return self.end(pid, ProcessEnd::Exited(0));
                    }
                }
            }
        }
    }

    /// The identity maker's protocol with camofleet.
    pub(super) async fn identity_maker(self, pid: u32, stdin: DuplexStream, mut stdout: DuplexStream) {
        if self.fails(Fault::MakerDies) {
            return self.end(pid, ProcessEnd::Exited(1));
        }
        let hello = match self.fails(Fault::MakerUnusable) {
            true => maker::Event::Unusable { error: "there is no model".into() },
            false => maker::Event::Hello {
                camoufox: "0.5.8".into(),
                python: "3.11.2".into(),
                browser: Some("156.0.1-beta.36".into()),
            },
        };
        let mut answer = Some(hello);
        let mut lines = BufReader::new(stdin).lines();
        loop {
            if let Some(event) = answer.take() {
                let line = format!("{}\n", serde_json::to_string(&event).unwrap_or_default());
                if stdout.write_all(line.as_bytes()).await.is_err() {
                    return;
                }
            }
            let Ok(Some(line)) = lines.next_line().await else {
                return self.end(pid, ProcessEnd::Exited(0));
            };
            self.running(pid).await;
            answer = match serde_json::from_str(&line) {
                Ok(maker::Command::Ping) => Some(maker::Event::Pong),
                Ok(maker::Command::Draw { request, constraints }) => {
                    self.draw(pid, request, *constraints).await
                }
                Err(error) => Some(maker::Event::Invalid { error: error.to_string() }),
            };
        }
    }

    async fn draw(&self, pid: u32, request: String, drawn: maker::SeededConstraints) -> Option<maker::Event> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if self.fails(Fault::DrawKills) {
            self.kill(pid);
            return None;
        }
        if self.fails(Fault::DrawRefused) {
            return Some(maker::Event::Refused { request, field: "screen".into(), reason: "too odd".into() });
        }
        if self.fails(Fault::DrawFails) {
            return Some(maker::Event::Failed { request, error: "no luck today".into() });
        }
        self.machine().drawn.push(drawn.seed.clone());
        let (width, height) =
            drawn.constraints.screen.map_or((1280, 800), |screen| (screen.width, screen.height));
        // It has no font but its own.
        let left_out = drawn.constraints.fonts.filter(|_| drawn.constraints.lenient);
        let left_out = left_out.map(|fonts| Contradiction {
            field: "fonts".into(),
            value: fonts.join(", "),
            against: "os".into(),
            fact: "windows".into(),
            ..Contradiction::default()
        });
        let machine = serde_json::json!({
            "version": 1, "library": "0.5.8", "browser": "156.0.1-beta.36", "seed": drawn.seed, "config": drawn.seed,
            "preferences": {"from.the.library": true}, "arguments": [], "fontconfig": "<dir>@camoufox@/fonts</dir>",
            "left_out": Vec::from_iter(left_out), "summary": {"os": "windows", "screen": {"width": width, "height": height}},
        });
        let machine = serde_json::from_value(machine).ok()?;
        Some(maker::Event::Drawn { request, machine: Box::new(machine) })
    }

    /// A browser of a driver, from the start of its process to its end.
    async fn browser(
        self,
        id: String,
        pid: u32,
        mut ended: oneshot::Receiver<ProcessEnd>,
        events: mpsc::UnboundedSender<Event>,
    ) {
        let hangs = self.fails(Fault::LaunchHangs);
        let time = self.machine().launch_time.unwrap_or(LAUNCH_TIME);
        let launch = async {
            if hangs {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(time).await;
        };
        tokio::select! {
            biased;
            _ = &mut ended => {
                let _ = events.send(Event::LaunchFailed { id, error: "the browser ended while it started".into(), timed_out: false });
                return;
            }
            () = launch => {}
        }
        if self.fails(Fault::LaunchFails) {
            self.kill(pid);
            let _ = events.send(Event::LaunchFailed { id, error: "no luck today".into(), timed_out: false });
            return;
        }
        let endpoint = self.machine().endpoint.clone().unwrap_or_else(|| format!("ws://127.0.0.1:1/{id}"));
        let _ = events.send(Event::Ready { id: id.clone(), endpoint, pid, browser_version: "153.0".into() });
        let death = self.machine().death_when_ready.clone();
        if let Some((name, turns)) = death {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            self.alive(&name).into_iter().for_each(|pid| self.kill(pid));
        }
        let end = ended.await;
        let signal = matches!(end, Ok(ProcessEnd::Signalled(_))).then(|| "SIGKILL".to_owned());
        let _ = events.send(Event::Exited { id, code: None, signal, reason: None });
    }

    fn obey(&self, line: &str, browsers: &mut HashMap<String, u32>, events: &mpsc::UnboundedSender<Event>) {
        let (os, events) = (self.clone(), events.clone());
        match serde_json::from_str(line) {
            Ok(Command::Launch { id, options }) => {
                self.machine().launched.push(launched(&options));
                let (pid, ended) = os.start("browser", None, options.env.into_iter().collect());
                browsers.insert(id.clone(), pid);
                actix_rt::spawn(os.browser(id, pid, ended, events));
            }
            Ok(Command::Close { id, patience_ms }) => match browsers.get(&id) {
                Some(browser) if patience_ms.is_some() => {
                    let (browser, time) = (*browser, self.machine().closing_time.unwrap_or_default());
                    self.machine().asked_to_end += 1;
                    actix_rt::spawn(async move {
                        tokio::time::sleep(time).await;
                        os.end(browser, ProcessEnd::Exited(0));
                    });
                }
                Some(browser) => self.kill(*browser),
                None => {
                    let _ = events.send(Event::Exited { id, code: None, signal: None, reason: None });
                }
            },
            Ok(Command::Open { request, url, .. }) => {
                self.machine().opened.push(url);
                if self.fails(Fault::OpenUnanswered) {
                    return;
                }
                if self.fails(Fault::OpenUnreadable) {
                    let _ = events.send(Event::Done {
                        request,
                        error: Some(UNREADABLE.to_owned()),
                        refused: false,
                    });
                    return;
                }
                let error = self.fails(Fault::OpenFails).then(|| "the page did not load".to_owned());
                let _ = events.send(Event::Done { request, error, refused: false });
            }
            Ok(Command::DiscardContexts { request, .. }) => {
                let time = self.machine().discard_time;
                actix_rt::spawn(async move {
                    tokio::time::sleep(time).await;
                    os.machine().discarded += 1;
                    let _ = events.send(Event::Done { request, error: None, refused: false });
                });
            }
            Ok(Command::ReadCookies { .. } | Command::WriteCookies { .. })
                if self.fails(Fault::CookiesUnanswered) => {}
            Ok(Command::ReadCookies { request, file, .. }) => {
                let written = std::fs::write(file, "[]");
                let _ = events.send(Event::Done {
                    request,
                    error: written.err().map(|error| error.to_string()),
                    refused: false,
                });
            }
            Ok(Command::WriteCookies { request, .. }) => {
                let refused = self.fails(Fault::CookiesRefused);
                let error = refused.then(|| "no site could set them".to_owned());
                let _ = events.send(Event::Done { request, error, refused });
            }
            Ok(Command::Check { id, request, .. }) => {
                let browser = browsers.get(&id).copied();
                actix_rt::spawn(async move {
                    if let Some(browser) = browser {
                        os.running(browser).await;
                    }
                    let _ = events.send(Event::Done { request, error: None, refused: false });
                });
            }
            Ok(Command::Ping) => {
                let _ = events.send(Event::Pong);
            }
            Err(error) => {
                let _ = events.send(Event::Invalid { error: error.to_string(), id: None, request: None });
            }
        }
    }
}

/// What the launch of a browser gives it.
fn launched(options: &LaunchOptions) -> LaunchedMachine {
    let machine = options.machine.as_ref();
    LaunchedMachine {
        // The fake maker's whole configuration.
        seed: machine.and_then(|machine| machine.env.get("CAMOU_CONFIG_1").cloned()),
        screen: (options.window.width, options.window.height),
        variables: machine.map(|machine| machine.env.keys().cloned().collect()).unwrap_or_default(),
    }
}

async fn skip(viewer: &mut DuplexStream, count: u64) -> io::Result<()> {
    tokio::io::copy(&mut viewer.take(count), &mut tokio::io::sink()).await.map(|_| ())
}
