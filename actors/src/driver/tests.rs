//! What a driver's process writes, by real processes that write it.

use super::*;
use crate::process::SystemOs;

/// More than a line may have, and than a pipe holds.
const LONG: usize = 3 << 20;

/// Ends with its driver.
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

/// A driver whose process answers each `check` as this piece of shell does, where `$request` is the request's number, and
/// each `ping` as a driver does.
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

    async fn check(&mut self) -> std::result::Result<(), String> {
        let check = InBrowser::Check { launch: 7, timeout: Duration::from_secs(5) };
        let answer = self.driver.address.send(check).await.unwrap();
        assert_eq!(self.end.try_recv().ok(), None, "it ended");
        answer
    }

    fn unreadable(&self) -> String {
        let metrics = self.metrics.encode().unwrap();
        let line = metrics.lines().find(|line| line.starts_with("camofleet_driver_lines_unreadable_total"));
        line.unwrap_or_default().to_owned()
    }

    /// Whether it lives on for longer than it may be silent.
    async fn goes_on(&mut self) -> bool {
        tokio::time::timeout(Duration::from_secs(4), self.end.recv()).await.is_err() && self.driver.is_up()
    }
}

#[actix::test]
async fn a_line_of_any_length_fails_its_own_request_and_the_driver_goes_on() {
    let mut shell = Shell::new(
        r#"if [ $((request % 2)) = 1 ]; then
               printf '{"type":"done","request":"%s","error":"' "$request"; long; echo '"}'
           else
               reply null
           fi"#,
    );
    for _ in 0..2 {
        assert_eq!(shell.check().await, Err("its driver's answer could not be read".to_owned()));
        assert_eq!(shell.check().await, Ok(()));
    }
    assert_eq!(shell.unreadable(), "camofleet_driver_lines_unreadable_total 2");
    assert!(shell.goes_on().await);
}

#[actix::test]
async fn bytes_that_are_no_text_cost_a_line_and_nothing_else() {
    let mut shell = Shell::new(r#"printf '\377\376 ?\n'; reply '"half of '"$(printf '\377')"'"'"#);
    assert_eq!(shell.check().await, Err("half of \u{fffd}".to_owned()));
    assert_eq!(shell.unreadable(), "camofleet_driver_lines_unreadable_total 1");
    assert!(shell.goes_on().await);
}

#[actix::test]
async fn complaints_of_any_length_and_kind_are_read_on() {
    let mut shell = Shell::new(r#"{ printf '\377\n'; long; echo; long; } >&2; reply null"#);
    for _ in 0..2 {
        assert_eq!(shell.check().await, Ok(()), "it is not held up by what nobody reads");
    }
    assert!(shell.goes_on().await);
}
