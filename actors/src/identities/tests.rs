//! The stock of machines that were drawn ahead.

use std::path::PathBuf;

use camofleet_api::identity::{Coherence, Identity, ScreenSize};

use super::stock::{AHEAD, SHELVES};
use super::*;

fn constraints(width: u16) -> Constraints {
    let screen = Some(ScreenSize { width, height: 800 });
    let executable = PathBuf::from("/opt/camoufox/camoufox-bin");
    Constraints::of(&Identity::default(), executable, screen, true, Coherence::Refuse)
}

fn machine(seed: &str) -> Arc<Machine> {
    let document = serde_json::json!({
        "version": 1, "library": "", "browser": "", "seed": seed, "config": "{}", "preferences": {}, "arguments": [],
        "fontconfig": "", "summary": {},
    });
    serde_json::from_value(document).map(Arc::new).unwrap()
}

#[test]
fn machines_are_ordered_once_and_taken_once() {
    let mut stock = Stock::default();
    let wanted = constraints(1000);
    assert!(stock.take(&wanted).is_none());
    assert_eq!((stock.order(&wanted), stock.order(&wanted)), (AHEAD, 0));
    for seed in ["a", "b", "c"] {
        stock.add(&wanted, machine(seed));
    }
    assert!(stock.take(&constraints(1001)).is_none(), "it is not like that");
    assert_eq!(stock.take(&wanted).unwrap().seed, "a");
    assert_eq!(stock.order(&wanted), 1);
    stock.give_up(&wanted);
    assert_eq!(stock.order(&wanted), 1, "what did not come is ordered again by the next launch");
}

#[test]
fn the_stock_forgets_what_was_asked_for_longest_ago() {
    let mut stock = Stock::default();
    for width in 0..100 {
        let wanted = constraints(1000 + width);
        for _ in 0..stock.order(&wanted) {
            stock.add(&wanted, machine("a"));
        }
        // One that is asked for again and again stays.
        stock.order(&constraints(1000));
    }
    assert_eq!(stock.size(), (SHELVES * AHEAD, SHELVES));
    assert!(stock.take(&constraints(1000)).is_some() && stock.take(&constraints(1001)).is_none());
    stock.add(&constraints(1001), machine("late"));
    assert!(
        stock.take(&constraints(1001)).is_none(),
        "a machine that comes for a forgotten shelf is dropped"
    );
}
