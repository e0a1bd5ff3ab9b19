//! Supervision with real actors: every kind of end is reported once, with its reason.

use std::time::Duration;

use actix::prelude::*;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;

struct Child {
    lifeline: Lifeline<&'static str>,
}

impl Actor for Child {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "()")]
enum End {
    Stop,
    Fail,
    Panic,
}

impl Handler<End> for Child {
    type Result = ();
    fn handle(&mut self, end: End, ctx: &mut Context<Self>) {
        match end {
            End::Stop => ctx.stop(),
            End::Fail => {
                self.lifeline.fail("out of luck");
                ctx.stop();
            }
            End::Panic => panic!("a bug"),
        }
    }
}

/// A parent that restarts its one child and reports to the test what it received and decided.
struct Parent {
    children: Children<&'static str, Addr<Child>>,
    policy: RestartPolicy,
    seen: mpsc::UnboundedSender<(ExitReason, Option<Addr<Child>>)>,
}

impl Parent {
    fn build(generation: Generation, ctx: &mut Context<Self>) -> Addr<Child> {
        Child { lifeline: Lifeline::new(ctx.address().recipient(), "child", generation) }.start()
    }
}

impl Actor for Parent {
    type Context = Context<Self>;
    fn started(&mut self, ctx: &mut Context<Self>) {
        let spec = ChildSpec {
            policy: self.policy,
            intensity: Intensity { limit: 2, within: Duration::from_secs(60) },
            backoff: Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(8) },
        };
        self.children.insert("child", spec, Self::build(0, ctx));
    }
}

impl Handler<ChildExited<&'static str>> for Parent {
    type Result = ();
    fn handle(&mut self, exited: ChildExited<&'static str>, ctx: &mut Context<Self>) {
        let reason = exited.reason.clone();
        match self.children.on_exit(&exited, Instant::now(), 0.0) {
            Verdict::Restart { after, generation } => {
                ctx.run_later(after, move |this, ctx| {
                    let child = Self::build(generation, ctx);
                    assert!(this.children.restarted(&"child", generation, child.clone()));
                    this.seen.send((reason, Some(child))).unwrap();
                });
            }
            Verdict::Ended(_) | Verdict::GiveUp(_) => {
                self.seen.send((reason, None)).unwrap();
                ctx.stop();
            }
            Verdict::Stale => {}
        }
    }
}

#[derive(Message)]
#[rtype(result = "Addr<Child>")]
struct CurrentChild;

impl Handler<CurrentChild> for Parent {
    type Result = MessageResult<CurrentChild>;
    fn handle(&mut self, _: CurrentChild, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.children.get(&"child").unwrap().clone())
    }
}

async fn family(
    policy: RestartPolicy,
) -> (Addr<Child>, mpsc::UnboundedReceiver<(ExitReason, Option<Addr<Child>>)>, Addr<Parent>) {
    tokio::time::pause();
    let (seen, ends) = mpsc::unbounded_channel();
    let parent = Parent { children: Children::new(), policy, seen }.start();
    let child = parent.send(CurrentChild).await.unwrap();
    (child, ends, parent)
}

#[actix::test]
async fn a_panic_is_reported_to_the_parent_which_restarts_the_child() {
    let (child, mut ends, _parent) = family(RestartPolicy::OnFailure).await;
    assert!(child.send(End::Panic).await.is_err());
    let (reason, next) = ends.recv().await.unwrap();
    assert!(matches!(reason, ExitReason::Panicked(_)), "{reason:?}");
    assert!(next.unwrap().connected());
}

#[actix::test]
async fn a_failure_is_reported_with_its_text() {
    let (child, mut ends, _parent) = family(RestartPolicy::OnFailure).await;
    child.do_send(End::Fail);
    assert_eq!(ends.recv().await.unwrap().0, ExitReason::Failed("out of luck".into()));
}

#[actix::test]
async fn a_child_that_is_restarted_on_failure_is_not_restarted_after_a_clean_stop() {
    let (child, mut ends, parent) = family(RestartPolicy::OnFailure).await;
    child.do_send(End::Stop);
    let (reason, next) = ends.recv().await.unwrap();
    assert_eq!((reason, next.is_none()), (ExitReason::Stopped, true));
    assert!(ends.recv().await.is_none(), "the parent stops and reports nothing more");
    assert!(!parent.connected());
}

#[actix::test]
async fn a_child_whose_last_address_is_dropped_is_reported_as_stopped() {
    let (stopped, mut ends) = mpsc::unbounded_channel();
    struct Listener(mpsc::UnboundedSender<ExitReason>);
    impl Actor for Listener {
        type Context = Context<Self>;
    }
    impl Handler<ChildExited<&'static str>> for Listener {
        type Result = ();
        fn handle(&mut self, exited: ChildExited<&'static str>, _: &mut Context<Self>) {
            self.0.send(exited.reason).unwrap();
        }
    }
    let listener = Listener(stopped).start();
    drop(Child { lifeline: Lifeline::new(listener.recipient(), "child", 0) }.start());
    assert_eq!(ends.recv().await, Some(ExitReason::Stopped));
}

#[actix::test]
async fn a_crash_loop_backs_off_and_is_given_up_when_its_window_is_full() {
    let (mut child, mut ends, _parent) = family(RestartPolicy::Always).await;
    let start = Instant::now();
    let mut restarted_at = Vec::new();
    loop {
        child.do_send(End::Fail);
        match ends.recv().await.unwrap() {
            (_, Some(next)) => child = next,
            (_, None) => break,
        }
        restarted_at.push(start.elapsed().as_secs());
    }
    assert_eq!(
        restarted_at,
        [0, 1],
        "the first restart is immediate, the second is delayed, the third is refused"
    );
}

#[actix::test]
async fn a_reassigned_lifeline_reports_to_the_new_parent_only() {
    struct Silent;
    impl Actor for Silent {
        type Context = Context<Self>;
    }
    impl Handler<ChildExited<&'static str>> for Silent {
        type Result = ();
        fn handle(&mut self, _: ChildExited<&'static str>, _: &mut Context<Self>) {
            panic!("the first parent must not be notified");
        }
    }
    let (stopped, mut ends) = mpsc::unbounded_channel();
    struct Heir(mpsc::UnboundedSender<Generation>);
    impl Actor for Heir {
        type Context = Context<Self>;
    }
    impl Handler<ChildExited<&'static str>> for Heir {
        type Result = ();
        fn handle(&mut self, exited: ChildExited<&'static str>, _: &mut Context<Self>) {
            self.0.send(exited.generation).unwrap();
        }
    }
    let first = Silent.start();
    let mut lifeline = Lifeline::new(first.clone().recipient(), "child", 7);
    lifeline.reassign(Heir(stopped).start().recipient());
    drop(lifeline);
    assert_eq!(ends.recv().await, Some(7));
    assert!(first.connected());
}
