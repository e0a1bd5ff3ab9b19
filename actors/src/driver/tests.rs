//! The handling of a driver's output, with real processes that write it.

use tokio::sync::mpsc;

use super::*;
use crate::process::SystemOs;

/// More bytes than a line may have, and than a pipe buffers.
const LONG: usize = 3 << 20;

/// Records how its driver ended.
struct Parent(mpsc::UnboundedSender<String>);

impl Actor for Parent {
    type Context = Context<Self>;
}

impl Handler<ChildExited<DriverId>> for Parent {
    type Result = ();

    fn handle(&mut self, exited: ChildExited<DriverId>, _: &mut Context<Self>) {
        let _ = self.0.send(exited.reason.to_string());
    }
}

/// A driver whose process is a shell script: it answers each `check` with the given commands, in which `$request` is
/// the request's number, and each `ping` as a real driver does.
struct Shell {
    driver: DriverHandle,
    metrics: Metrics,
    end: mpsc::UnboundedReceiver<String>,
    _directory: tempfile::TempDir,
}

impl Shell {
    fn new(answer: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let script = format!(
            r#"long() {{ head -c {LONG} /dev/zero | tr '\0' x; }}
            reply() {{ printf '{{"type":"done","request":"%s","error":%s}}\n' "$request" "$1"; }}
            echo '{{"type":"hello","playwright":"1.62.1","node":"20.0.0"}}'
            while read -r line; do
                request=${{line##*'"request":"'}}
                request=${{request%%'"'*}}
                case $line in
                    *'"type":"ping"'*) echo '{{"type":"pong"}}' ;;
                    *'"type":"check"'*) {answer} ;;
                esac
            done"#
        );
        std::fs::write(directory.path().join(SCRIPT), script).unwrap();
        let settings = DriverSettings {
            node: "/bin/sh".into(),
            directory: directory.path().to_owned(),
            sessions_per_driver: 1,
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            pulse: PulseSettings { interval: Duration::from_millis(200), silence: Duration::from_secs(3) },
        };
        let (sender, end) = mpsc::unbounded_channel();
        let parent = Parent(sender).start().recipient();
        let mark = (crate::host::rundir::RUN_DIR_MARK.to_owned(), directory.path().display().to_string());
        let metrics = Metrics::new().unwrap();
        let os = Arc::new(SystemOs::new());
        let driver = Driver::start(os, settings, &mark, metrics.clone(), parent, 1, 1);
        Self { driver, metrics, end, _directory: directory }
    }

    async fn check(&mut self) -> std::result::Result<(), NotDone> {
        let check = InBrowser::Check { launch: 7, timeout: Duration::from_secs(5) };
        let answer = self.driver.address.send(check).await.unwrap();
        assert_eq!(self.end.try_recv().ok(), None, "the driver ended");
        answer
    }

    fn unreadable(&self) -> String {
        let metrics = self.metrics.encode().unwrap();
        let line = metrics.lines().find(|line| line.starts_with("camofleet_driver_lines_unreadable_total"));
        line.unwrap_or_default().to_owned()
    }

    /// Whether the driver keeps running for longer than it may leave a poll unanswered.
    async fn keeps_running(&mut self) -> bool {
        tokio::time::timeout(Duration::from_secs(4), self.end.recv()).await.is_err() && self.driver.is_up()
    }
}

#[actix::test]
async fn a_line_of_any_length_fails_only_its_own_request() {
    let mut shell = Shell::new(
        r#"if [ $((request % 2)) = 1 ]; then
               printf '{"type":"done","request":"%s","error":"' "$request"; long; echo '"}'
           else
               reply null
           fi"#,
    );
    for _ in 0..2 {
        let unreadable = NotDone::Failed("its driver's answer could not be read".to_owned());
        assert_eq!(shell.check().await, Err(unreadable));
        assert_eq!(shell.check().await, Ok(()));
    }
    assert_eq!(shell.unreadable(), "camofleet_driver_lines_unreadable_total 2");
    assert!(shell.keeps_running().await);
}

#[actix::test]
async fn invalid_utf8_makes_only_its_own_line_unreadable() {
    let mut shell = Shell::new(r#"printf '\377\376 ?\n'; reply '"half of '"$(printf '\377')"'"'"#);
    assert_eq!(shell.check().await, Err(NotDone::Failed("half of \u{fffd}".to_owned())));
    assert_eq!(shell.unreadable(), "camofleet_driver_lines_unreadable_total 1");
    assert!(shell.keeps_running().await);
}

#[actix::test]
async fn standard_error_is_drained_whatever_is_written_to_it() {
    let mut shell = Shell::new(r#"{ printf '\377\n'; long; echo; long; } >&2; reply null"#);
    for _ in 0..2 {
        assert_eq!(shell.check().await, Ok(()), "it must not block on a full pipe");
    }
    assert!(shell.keeps_running().await);
}
