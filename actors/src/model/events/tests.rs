use super::*;
use crate::model::session::Ending;
use crate::testing::a_view;

fn publish(bus: &EventBus, view: &Arc<SessionView>, change: Change) {
    bus.publish("local", Arc::clone(view), change, None);
}

fn numbers(events: &[Arc<SessionEvent>]) -> Vec<u64> {
    events.iter().map(|event| event.id.number).collect()
}

#[tokio::test]
async fn every_subscriber_receives_every_event_since_its_subscription() {
    let (bus, view) = (EventBus::default(), Arc::new(a_view()));
    let mut early = bus.subscribe();
    publish(&bus, &view, Change::Created);
    let mut late = bus.subscribe();
    publish(&bus, &view, Change::Ready);
    drop(bus);
    let count = async |listener: &mut Subscription| {
        let mut count = 0;
        while listener.next().await.is_some() {
            count += 1;
        }
        count
    };
    assert_eq!((count(&mut early).await, count(&mut late).await), (2, 1));
}

#[tokio::test]
async fn a_subscriber_that_lags_is_notified_to_resync_and_continues() {
    let (bus, view) = (EventBus::default(), Arc::new(a_view()));
    let mut slow = bus.subscribe();
    for _ in 0..BACKLOG + 5 {
        publish(&bus, &view, Change::Attached);
    }
    assert!(matches!(slow.next().await, Some(Received::Missed(5))));
    assert!(matches!(slow.next().await, Some(Received::Event(_))));
}

#[test]
fn a_subscriber_that_resumes_receives_what_it_missed() {
    let (bus, view) = (EventBus::default(), Arc::new(a_view()));
    let start = bus.resume(None);
    assert_eq!((start.position.number, start.missed.is_none()), (0, true));
    for _ in 0..3 {
        publish(&bus, &view, Change::Attached);
    }
    let again = bus.resume(Some(start.position));
    assert_eq!((again.position.number, numbers(&again.missed.unwrap())), (3, vec![1, 2, 3]));
    assert_eq!(numbers(&bus.resume(Some(again.position)).missed.unwrap()), Vec::<u64>::new());
}

#[test]
fn a_subscriber_of_another_bus_or_from_too_long_ago_starts_again() {
    let (bus, view) = (EventBus::default(), Arc::new(a_view()));
    let start = bus.resume(None).position;
    for _ in 0..=BACKLOG {
        publish(&bus, &view, Change::Attached);
    }
    assert!(bus.resume(Some(start)).missed.is_none());
    assert_eq!(bus.resume(Some(EventId { number: 1, ..start })).missed.map(|all| all.len()), Some(BACKLOG));
    let foreign = EventId { bus: start.bus.wrapping_add(1), number: 1025 };
    assert!(bus.resume(Some(foreign)).missed.is_none());
    assert!(bus.resume(Some(EventId { number: u64::MAX, ..start })).missed.is_none(), "not published yet");
}

#[test]
fn a_session_s_history_has_everything_but_touches() {
    let (bus, view) = (EventBus::default(), Arc::new(a_view()));
    let id = view.spec.id;
    assert_eq!(bus.history(id), None);
    publish(&bus, &view, Change::Created);
    publish(&bus, &view, Change::Touched);
    let detail = "the browser was ended by SIGSEGV".to_owned();
    publish(&bus, &view, Change::Restarting { cause: EndReason::Crashed, detail: detail.clone() });
    let ending = Ending { at: Timestamp::now(), reason: EndReason::Expired, detail: "idle".into() };
    publish(&bus, &Arc::new(SessionView { ending: Some(ending), ..(*view).clone() }), Change::Ended);
    let history = bus.history(id).unwrap();
    let entries: Vec<_> = history.iter().map(|event| (event.change, event.detail.as_deref())).collect();
    let expected = [
        (ChangeKind::Created, None),
        (ChangeKind::Restarting, Some(detail.as_str())),
        (ChangeKind::Ended, Some("expired: idle")),
    ];
    assert_eq!(entries, expected);
}

#[test]
fn histories_are_bounded_in_length_and_number() {
    let bus = EventBus::default();
    let first = Arc::new(a_view());
    for _ in 0..=HISTORY {
        publish(&bus, &first, Change::Attached);
    }
    assert_eq!(bus.history(first.spec.id).map(|history| history.len()), Some(HISTORY));
    publish(&bus, &first, Change::Ended);
    for _ in 0..ENDED_HISTORIES {
        publish(&bus, &Arc::new(a_view()), Change::Ended);
    }
    assert_eq!(bus.history(first.spec.id), None);
}
