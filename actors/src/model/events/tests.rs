use super::*;
use crate::model::session::Ending;
use crate::testing::a_view;

fn tell(bus: &EventBus, view: &Arc<SessionView>, change: Change) {
    bus.publish("local", Arc::clone(view), change, None);
}

fn numbers(events: &[Arc<SessionEvent>]) -> Vec<u64> {
    events.iter().map(|event| event.id.number).collect()
}

#[tokio::test]
async fn every_listener_gets_every_event_from_its_subscription_on() {
    let (bus, view) = (EventBus::default(), Arc::new(a_view()));
    let mut early = bus.subscribe();
    tell(&bus, &view, Change::Created);
    let mut late = bus.subscribe();
    tell(&bus, &view, Change::Ready);
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
async fn a_listener_that_lags_is_told_to_resync_and_goes_on() {
    let (bus, view) = (EventBus::default(), Arc::new(a_view()));
    let mut slow = bus.subscribe();
    for _ in 0..BACKLOG + 5 {
        tell(&bus, &view, Change::Attached);
    }
    assert!(matches!(slow.next().await, Some(Heard::Missed(5))));
    assert!(matches!(slow.next().await, Some(Heard::Event(_))));
}

#[test]
fn a_listener_that_comes_back_gets_what_it_missed() {
    let (bus, view) = (EventBus::default(), Arc::new(a_view()));
    let start = bus.follow(None);
    assert_eq!((start.position.number, start.missed.is_none()), (0, true));
    for _ in 0..3 {
        tell(&bus, &view, Change::Attached);
    }
    let again = bus.follow(Some(start.position));
    assert_eq!((again.position.number, numbers(&again.missed.unwrap())), (3, vec![1, 2, 3]));
    assert_eq!(numbers(&bus.follow(Some(again.position)).missed.unwrap()), Vec::<u64>::new());
}

#[test]
fn who_was_away_too_long_or_heard_another_bus_starts_anew() {
    let (bus, view) = (EventBus::default(), Arc::new(a_view()));
    let start = bus.follow(None).position;
    for _ in 0..=BACKLOG {
        tell(&bus, &view, Change::Attached);
    }
    assert!(bus.follow(Some(start)).missed.is_none());
    assert_eq!(bus.follow(Some(EventId { number: 1, ..start })).missed.map(|all| all.len()), Some(BACKLOG));
    let foreign = EventId { bus: start.bus.wrapping_add(1), number: 1025 };
    assert!(bus.follow(Some(foreign)).missed.is_none());
    assert!(bus.follow(Some(EventId { number: u64::MAX, ..start })).missed.is_none(), "still to come");
}

#[test]
fn a_session_s_history_tells_its_life_without_its_touches() {
    let (bus, view) = (EventBus::default(), Arc::new(a_view()));
    let id = view.spec.id;
    assert_eq!(bus.history(id), None);
    tell(&bus, &view, Change::Created);
    tell(&bus, &view, Change::Touched);
    let detail = "the browser was ended by SIGSEGV".to_owned();
    tell(&bus, &view, Change::Restarting { cause: EndReason::Crashed, detail: detail.clone() });
    let ending = Ending { at: Timestamp::now(), reason: EndReason::Expired, detail: "idle".into() };
    tell(&bus, &Arc::new(SessionView { ending: Some(ending), ..(*view).clone() }), Change::Ended);
    let history = bus.history(id).unwrap();
    let told: Vec<_> = history.iter().map(|event| (event.change, event.detail.as_deref())).collect();
    let expected = [
        (ChangeKind::Created, None),
        (ChangeKind::Restarting, Some(detail.as_str())),
        (ChangeKind::Ended, Some("expired: idle")),
    ];
    assert_eq!(told, expected);
}

#[test]
fn histories_are_bounded_in_length_and_number() {
    let bus = EventBus::default();
    let first = Arc::new(a_view());
    for _ in 0..=HISTORY {
        tell(&bus, &first, Change::Attached);
    }
    assert_eq!(bus.history(first.spec.id).map(|history| history.len()), Some(HISTORY));
    tell(&bus, &first, Change::Ended);
    for _ in 0..ENDED_HISTORIES {
        tell(&bus, &Arc::new(a_view()), Change::Ended);
    }
    assert_eq!(bus.history(first.spec.id), None);
}
