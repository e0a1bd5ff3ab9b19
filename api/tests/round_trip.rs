//! Round trips: random documents that fit a type's schema are parsed and written again unchanged.

// A document that is not as expected fails its test.
#![allow(clippy::unwrap_used)]

use fastrand::Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use camofleet_api::egress::{EgressReport, ProxyCheck};
use camofleet_api::error::ErrorBody;
use camofleet_api::event::{Activity, EventSnapshot, HistoryEntry, SessionChange};
use camofleet_api::facts::Facts;
use camofleet_api::health::{ControlHealth, Health, WorkerStatus};
use camofleet_api::history::FleetHistory;
use camofleet_api::identity::IdentityReport;
use camofleet_api::request::{
    CreateRequest, FleetProxyCheckRequest, ProxyCheckRequest, SessionPatch, SessionRequest,
};
use camofleet_api::session::{Deleted, Session};
use camofleet_api::view::ViewDescription;

/// The number of random documents for each type.
const DOCUMENTS: u64 = 500;

/// A random text with characters that JSON has to escape.
fn text(rng: &mut Rng) -> String {
    (0..rng.usize(1..12))
        .map(|_| *rng.choice(["a", "Z", "7", " ", "\"", "\\", "\n", "ж", "🦊", "/"].iter()).unwrap())
        .collect()
}

struct Generator<'a> {
    rng: Rng,
    schemas: &'a Value,
}

impl Generator<'_> {
    /// A random value that fits a schema.
    fn value(&mut self, schema: &Value) -> Value {
        if let Some(name) = schema["$ref"].as_str() {
            let schema = &self.schemas[name.rsplit('/').next().unwrap()];
            assert!(schema.is_object(), "there is no {name}");
            return self.value(&schema.clone());
        }
        // What a schema can't describe exactly has examples.
        if let Some(examples) = schema["examples"].as_array() {
            return examples[self.rng.usize(..examples.len())].clone();
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            let choice = self.rng.usize(..choices.len());
            return self.value(&choices[choice]);
        }
        if let Some(parts) = schema["allOf"].as_array() {
            let parts = parts.iter().flat_map(|part| match self.value(part) {
                Value::Object(fields) => fields,
                other => panic!("{other} is no object"),
            });
            return Value::Object(parts.collect());
        }
        if let Some(values) = schema["enum"].as_array() {
            return values[self.rng.usize(..values.len())].clone();
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds[self.rng.usize(..kinds.len())].as_str().unwrap().to_owned(),
            kind => kind.as_str().unwrap_or_else(|| panic!("what is {schema}?")).to_owned(),
        };
        match kind.as_str() {
            "null" => Value::Null,
            "boolean" => self.rng.bool().into(),
            "integer" => {
                let (least, most) = (schema["minimum"].as_u64().unwrap_or(0), schema["maximum"].as_u64());
                self.rng.u64(least..=most.unwrap_or(60_000)).into()
            }
            "number" => self.rng.f64().into(),
            "string" => self.string(schema),
            "array" => (0..self.rng.usize(..4)).map(|_| self.value(&schema["items"])).collect(),
            "object" => self.object(schema),
            other => panic!("what is a {other}?"),
        }
    }

    fn string(&mut self, schema: &Value) -> Value {
        match schema["format"].as_str() {
            Some("uuid") => uuid::Uuid::from_u128(self.rng.u128(..)).to_string().into(),
            Some("date-time") => {
                let at = jiff::Timestamp::from_millisecond(self.rng.i64(0..4_000_000_000_000)).unwrap();
                format!("{at:.3}").into()
            }
            // Fits the patterns of both keys and request ids.
            _ if schema["pattern"].is_string() => format!("{:032x}", self.rng.u128(..)).into(),
            _ => text(&mut self.rng).into(),
        }
    }

    fn object(&mut self, schema: &Value) -> Value {
        let mut fields = Map::new();
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            if required.contains(&json!(name)) || self.rng.bool() {
                let value = self.value(property);
                fields.insert(name.clone(), value);
            }
        }
        let further = &schema["additionalProperties"];
        if further.is_object() {
            for _ in 0..self.rng.usize(..3) {
                // Pools of other names than they can have are left out.
                let is_pool = further["$ref"].as_str().is_some_and(|name| name.ends_with("/PoolFill"));
                let name = match &schema["propertyNames"] {
                    _ if is_pool => format!("pool-{}", self.rng.u8(..)),
                    Value::Null => text(&mut self.rng),
                    names => self.value(names).as_str().unwrap().to_owned(),
                };
                let value = self.value(further);
                fields.insert(name, value);
            }
        }
        Value::Object(fields)
    }
}

/// Random documents of a type.
fn documents<T: ToSchema>() -> Vec<Value> {
    let mut schemas = Vec::new();
    T::schemas(&mut schemas);
    let schemas: Map<String, Value> =
        schemas.into_iter().map(|(name, schema)| (name, serde_json::to_value(schema).unwrap())).collect();
    let (schemas, own) = (Value::Object(schemas), serde_json::to_value(T::schema()).unwrap());
    let document = |seed| Generator { rng: Rng::with_seed(seed), schemas: &schemas }.value(&own);
    (0..DOCUMENTS).map(document).collect()
}

fn round_trip<T: Serialize + DeserializeOwned>(document: &Value) -> Value {
    let read: T = serde_json::from_value(document.clone())
        .unwrap_or_else(|error| panic!("{}: {error}: {document:#}", std::any::type_name::<T>()));
    serde_json::to_value(read).unwrap()
}

/// Checks that every document is written exactly as it was read.
fn assert_exact<T: Serialize + DeserializeOwned + ToSchema>() {
    for document in documents::<T>() {
        assert_eq!(round_trip::<T>(&document), document, "{}", std::any::type_name::<T>());
    }
}

/// Checks that a document written once stays the same when parsed and written again. Fields that were null may be left out.
fn assert_stable<T: Serialize + DeserializeOwned + ToSchema>() {
    for document in documents::<T>() {
        let once = round_trip::<T>(&document);
        for (name, value) in once.as_object().unwrap() {
            let given = &document[name];
            assert!(given == value || given.is_null(), "{name} became {value}: {document:#}");
        }
        assert_eq!(round_trip::<T>(&once), once, "{}", std::any::type_name::<T>());
    }
}

#[test]
fn responses_survive_a_round_trip() {
    assert_exact::<Session>();
    assert_exact::<Deleted>();
    assert_exact::<Facts>();
    assert_exact::<Health>();
    assert_exact::<WorkerStatus>();
    assert_exact::<ControlHealth>();
    assert_exact::<FleetHistory>();
    assert_exact::<EventSnapshot>();
    assert_exact::<SessionChange>();
    assert_exact::<Activity>();
    assert_exact::<HistoryEntry>();
    assert_exact::<ErrorBody>();
    assert_exact::<ViewDescription>();
    assert_exact::<EgressReport>();
    assert_exact::<IdentityReport>();
    assert_exact::<ProxyCheck>();
}

#[test]
fn requests_survive_a_round_trip() {
    assert_stable::<SessionRequest>();
    assert_stable::<CreateRequest>();
    assert_exact::<SessionPatch>();
    assert_stable::<ProxyCheckRequest>();
    assert_stable::<FleetProxyCheckRequest>();
}

/// Checks that a document is parsed whatever one of its fields holds, except for the essential ones: other versions and the
/// original may send null or another type.
fn assert_tolerant<T: DeserializeOwned + ToSchema>(essential: &[&str]) {
    for document in documents::<T>().into_iter().take(20) {
        let names: Vec<String> = document.as_object().unwrap().keys().cloned().collect();
        for name in names.iter().filter(|name| !essential.contains(&name.as_str())) {
            for strange in [Value::Null, json!({"?": [null]}), json!(-1), json!("?")] {
                let mut document = document.clone();
                document[name] = strange.clone();
                let read = serde_json::from_value::<T>(document);
                assert!(
                    read.is_ok(),
                    "{}: {name} as {strange}: {:?}",
                    std::any::type_name::<T>(),
                    read.err()
                );
            }
        }
    }
}

#[test]
fn one_strange_field_does_not_spoil_a_response_of_another_machine() {
    assert_tolerant::<Session>(&["id", "status", "created_at", "last_seen_at"]);
    assert_tolerant::<Deleted>(&["status"]);
    assert_tolerant::<Health>(&["status"]);
    assert_tolerant::<WorkerStatus>(&["name", "healthy"]);
    assert_tolerant::<ControlHealth>(&["status", "workers"]);
    assert_tolerant::<ErrorBody>(&[]);
}
