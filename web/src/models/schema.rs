//! Schemas of values that are defined by the actors, who know nothing of documents.

use camofleet_actors::events::Change;
use camofleet_actors::session::{Contexts, EndReason, OnCrash, StartUrlWait, Status};
use serde_json::Value;
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};

/// What a request's `start_url_wait` may say, and what it means.
pub(super) const START_URL_WAITS: [(&str, StartUrlWait); 3] = [
    ("none", StartUrlWait::None),
    ("domcontentloaded", StartUrlWait::DomContentLoaded),
    ("load", StartUrlWait::Load),
];
/// The same for `on_crash`.
pub(super) const ON_CRASH: [(&str, OnCrash); 2] = [("restart", OnCrash::Restart), ("end", OnCrash::End)];
/// The same for `contexts`.
pub(super) const CONTEXTS: [(&str, Contexts); 2] = [("keep", Contexts::Keep), ("discard", Contexts::Discard)];

fn one_of<'a>(names: impl IntoIterator<Item = &'a str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).build()
}

fn one_of_or_null<'a>(names: impl IntoIterator<Item = &'a str>) -> Object {
    let names = names.into_iter().map(Value::from).chain([Value::Null]);
    let kind = SchemaType::from_iter([Type::String, Type::Null]);
    ObjectBuilder::new().schema_type(kind).enum_values(Some(names)).build()
}

fn names<T, const N: usize>(choices: &[(&'static str, T); N]) -> [&'static str; N] {
    std::array::from_fn(|index| choices[index].0)
}

pub(super) fn change() -> Object {
    one_of(Change::NAMES)
}

pub(super) fn status() -> Object {
    one_of(Status::ALL.map(Status::as_str))
}

pub(super) fn start_url_wait() -> Object {
    one_of(names(&START_URL_WAITS))
}

pub(super) fn start_url_wait_or_null() -> Object {
    one_of_or_null(names(&START_URL_WAITS))
}

pub(super) fn on_crash() -> Object {
    one_of(names(&ON_CRASH))
}

pub(super) fn on_crash_or_null() -> Object {
    one_of_or_null(names(&ON_CRASH))
}

pub(super) fn contexts() -> Object {
    one_of(names(&CONTEXTS))
}

pub(super) fn contexts_or_null() -> Object {
    one_of_or_null(names(&CONTEXTS))
}

pub(super) fn end_reason_or_null() -> Object {
    one_of_or_null(EndReason::ALL.map(EndReason::as_str))
}

/// `ok` or `degraded`: how all health is told.
pub(super) fn health_word() -> Object {
    one_of(["ok", "degraded"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown<T: serde::Serialize>(choices: &[(&'static str, T)]) -> Vec<(&'static str, Value)> {
        choices.iter().map(|(name, value)| (*name, serde_json::to_value(value).unwrap())).collect()
    }

    #[test]
    fn values_are_named_in_requests_as_they_are_shown_in_sessions() {
        for (name, shown) in [shown(&START_URL_WAITS), shown(&ON_CRASH), shown(&CONTEXTS)].concat() {
            assert_eq!(shown, name);
        }
    }
}
