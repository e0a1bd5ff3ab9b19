//! The health of each role, and a control's status of its workers.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::Time;
use crate::facts::Facts;
use crate::lenient::default_if_unknown;

/// Whether all health checks pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// All checks pass.
    Ok,
    /// A check fails, or a control has no worker or an unhealthy one. Unknown values of other versions are read as this.
    #[serde(other)]
    Degraded,
}

impl HealthStatus {
    /// `Ok` if everything is healthy, else `Degraded`.
    pub fn of(ok: bool) -> Self {
        if ok { Self::Ok } else { Self::Degraded }
    }

    /// The value as it appears in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
        }
    }
}

/// The health of a worker, a runner or a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`, or `degraded` while it can't do its work: a worker, while sessions of no kind can run on it.
    pub status: HealthStatus,
    /// The server's version.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub version: String,
    /// Each check's name and result.
    #[serde(default, deserialize_with = "texts")]
    #[schema(required)]
    pub checks: BTreeMap<String, String>,
    /// The names of failing checks; always empty for the original, which does not report them.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub failing: Vec<String>,
    /// The worker's configuration and current figures; null for a gateway and for the original.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub facts: Option<Facts>,
    /// Whether anybody who can reach the server has full access, because it listens beyond loopback and requires no token.
    /// Null where another server reports this worker's health.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub insecure: Option<bool>,
}

/// Reads checks as texts: the original's values may be of any type.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let values: BTreeMap<String, Value> = default_if_unknown(deserializer)?;
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(values.into_iter().map(|(name, value)| (name, text(value))).collect())
}

/// A worker's health, or why it is unavailable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum WorkerDetail {
    /// The health that the worker reported.
    Health(Box<Health>),
    /// The worker could not be reached.
    Error {
        /// The reason, in plain text.
        error: String,
    },
}

impl Default for WorkerDetail {
    fn default() -> Self {
        Self::Error { error: "it reports no health".to_owned() }
    }
}

/// One worker's status: an element of `GET /workers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerStatus {
    /// The worker's name in paths and requests.
    pub name: String,
    /// Whether new sessions can be placed on it.
    pub healthy: bool,
    /// The worker's health, or why it is unavailable.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub detail: WorkerDetail,
    /// Whether its sessions can have live views.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub supports_vnc: bool,
    /// How many live sessions it has.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub sessions: usize,
    /// Whether its sessions are listed as last seen because the worker does not answer.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub stale: bool,
    /// Whether it accepts no more sessions.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub draining: bool,
    /// The base URL of its API; null for a worker in this process.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub url: Option<String>,
    /// When it last answered; null if it has not answered yet and for a worker in this process. A change of this field alone
    /// causes no event.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub last_contact: Option<Time>,
}

impl WorkerStatus {
    /// Whether anything but the time of the last answer differs from an earlier status.
    pub fn differs_from(&self, before: &Self) -> bool {
        Self { last_contact: before.last_contact, ..self.clone() } != *before
    }

    /// The status for callers without an access token: health only, without URL and facts.
    #[must_use]
    pub fn redacted(mut self) -> Self {
        self.url = None;
        if let WorkerDetail::Health(health) = &mut self.detail {
            health.facts = None;
        }
        self
    }
}

/// The control role's health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ControlHealth {
    /// `ok`, or `degraded` with no worker or any unhealthy one.
    pub status: HealthStatus,
    /// Each worker's status.
    pub workers: Vec<WorkerStatus>,
    /// Whether anybody who can reach this server has full access, because it listens beyond loopback and requires no token.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub insecure: bool,
}

impl ControlHealth {
    /// Sums up the health of these workers.
    pub fn of(workers: Vec<WorkerStatus>, insecure: bool) -> Self {
        let ok = !workers.is_empty() && workers.iter().all(|worker| worker.healthy);
        Self { status: HealthStatus::of(ok), workers, insecure }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::facts::{EngineFacts, PoolFill, SessionDefaults, Slots};
    use crate::session::StartUrlWait;

    fn read(body: Value) -> Health {
        serde_json::from_value(body).unwrap()
    }

    fn checks(health: &Health) -> Vec<(&str, bool, &str)> {
        let check =
            |(name, text)| (String::as_str(name), !health.failing.contains(name), String::as_str(text));
        health.checks.iter().map(check).collect()
    }

    #[test]
    fn health_of_the_original_is_parsed_and_has_no_facts() {
        let health = read(json!({
            "status": "ok", "version": "0.1.0", "checks": {"playwright": "ready", "sessions": 1},
        }));
        assert_eq!(
            (health.status, health.version.as_str(), &health.facts),
            (HealthStatus::Ok, "0.1.0", &None)
        );
        let expected = [("playwright", true, "ready"), ("sessions", true, "1")];
        assert_eq!(checks(&health), expected);
        let degraded = read(json!({"status": "degraded", "checks": {"playwright": "starting"}}));
        assert_eq!(degraded.status, HealthStatus::Degraded);
        assert_eq!(checks(&degraded), [("playwright", true, "starting")]);
    }

    #[test]
    fn health_of_camofleet_is_parsed_completely() {
        let health = read(json!({
            "status": "degraded", "version": "0.1.0",
            "checks": {"driver": "restarting", "engine": "firefox 153.0 (/usr/bin/firefox-esr)"},
            "failing": ["driver"],
            "facts": {
                "sessions": 2, "capacity": 10,
                "defaults": {
                    "idle_ttl_seconds": 300, "headless": false, "start_url": "https://example.com",
                    "start_url_wait": "domcontentloaded",
                },
                "engine": {"name": "firefox", "version": "153.0"}, "playwright": "1.62.1", "node": "20.0.0",
                "pools": {
                    "headless": {"ready": 0, "launching": 1, "target": 1, "last_error": "no luck"}, "vnc": null,
                },
                "slots": {"used": 1, "total": 3}, "drivers": 1, "draining": true,
                "started_at": "2026-01-31T12:00:00.000Z", "host_name": "worker-0",
            },
        }));
        assert_eq!(health.status, HealthStatus::Degraded);
        let expected =
            [("driver", false, "restarting"), ("engine", true, "firefox 153.0 (/usr/bin/firefox-esr)")];
        assert_eq!(checks(&health), expected);
        let fill =
            PoolFill { launching: 1, target: 1, last_error: Some("no luck".into()), ..PoolFill::default() };
        let facts = Facts {
            sessions: 2,
            capacity: Some(10),
            defaults: SessionDefaults {
                idle_ttl: Some(Duration::from_secs(300)),
                headless: Some(false),
                start_url: Some("https://example.com".into()),
                start_url_wait: Some(StartUrlWait::DomContentLoaded),
            },
            engine: Some(EngineFacts { name: "firefox".into(), version: Some("153.0".into()) }),
            playwright: Some("1.62.1".into()),
            node: Some("20.0.0".into()),
            pools: BTreeMap::from([("headless".into(), fill)]),
            egress: None,
            slots: Some(Slots { used: 1, total: 3 }),
            identity: Vec::new(),
            machines: None,
            profiles: None,
            drivers: Some(1),
            draining: true,
            started_at: Some(Time("2026-01-31T12:00:00Z".parse().unwrap())),
            host_name: Some("worker-0".into()),
        };
        assert_eq!(health.facts, Some(facts));
    }

    #[test]
    fn missing_fields_get_defaults_and_unknown_fields_are_ignored() {
        let with = |facts: Value| read(json!({"status": "ok", "facts": facts})).facts;
        assert_eq!(with(json!({"sessions": 1, "moon": "full", "defaults": {"proxy": null}})), {
            Some(Facts { sessions: 1, ..Facts::default() })
        });
        assert_eq!(with(json!(null)), None);
        let foreign = read(json!({"status": "starting"}));
        assert_eq!(foreign.status, HealthStatus::Degraded, "a status that only another version has");
        let strange = read(json!({"status": "ok", "failing": "driver", "facts": "none"}));
        assert_eq!((strange.status, strange.failing.len(), strange.facts), (HealthStatus::Ok, 0, None));
    }

    #[test]
    fn one_strange_field_of_the_facts_spoils_no_other_one() {
        let facts = json!({
            "sessions": 2, "capacity": 10,
            "defaults": {"idle_ttl_seconds": 300, "headless": false, "start_url": "https://a.example", "start_url_wait": "load"},
            "engine": {"name": "firefox", "version": "153.0"}, "playwright": "1.62.1", "node": "20.0.0",
            "pools": {
                "headless": {"ready": 1, "launching": 1, "target": 2, "headless": true, "last_error": "no luck"},
                "vnc": {"ready": 1, "launching": 0, "target": 1, "headless": false, "last_error": null},
            },
            "egress": {
                "policy": "public", "proxies": ["eu"], "default_proxy": {"server": "http://a:1", "pool": null},
                "block_lists": ["ads"], "default_block": ["ads"], "checks_proxies": true, "city_database": "b",
            },
            "machines": {"library": "0.5.8", "python": "3.11.2", "addons": ["ublock"]}, "identity": ["locale"], "profiles": {"count": 3, "shared": true, "revision": 7}, "slots": {"used": 1, "total": 3}, "drivers": 1, "draining": true,
            "started_at": "2026-01-31T12:00:00.000Z", "host_name": "worker-0",
        });
        let mut paths = Vec::new();
        collect_paths(&facts, String::new(), &mut paths);
        let shown = |facts: &Value| {
            serde_json::to_value(read(json!({"status": "ok", "facts": facts})).facts).unwrap()
        };
        assert_eq!(shown(&facts), facts);
        for path in paths {
            let mut strange = facts.clone();
            *strange.pointer_mut(&path).unwrap() = json!({"of another": ["version"]});
            let mut found = shown(&strange);
            assert!(found.is_object(), "{path}");
            // Everything beside it is as before.
            let mut expected = facts.clone();
            for value in [&mut found, &mut expected] {
                match value.pointer_mut(&path) {
                    Some(field) => *field = json!(null),
                    // A required part of an object, which is unknown without it.
                    None => assert_eq!(path, "/engine/name"),
                }
            }
            if path == "/engine/name" {
                expected["engine"] = json!(null);
            }
            assert_eq!(found, expected, "{path}");
        }
    }

    /// The paths of all fields, those in objects too.
    fn collect_paths(value: &Value, path: String, paths: &mut Vec<String>) {
        for (name, value) in value.as_object().into_iter().flatten() {
            let path = format!("{path}/{name}");
            collect_paths(value, path.clone(), paths);
            paths.push(path);
        }
    }

    #[test]
    fn pools_that_no_worker_can_have_are_left_out_and_their_number_is_limited() {
        let fill = json!({"ready": 1});
        let mut pools = serde_json::Map::new();
        for name in ["ok_1", "", "a b", "<script>", &"x".repeat(65), "new\nline", "a{b=\"c\"}"] {
            pools.insert(name.to_owned(), fill.clone());
        }
        let read = |pools| read(json!({"status": "ok", "facts": {"pools": pools}})).facts.unwrap().pools;
        assert_eq!(read(json!(pools)).into_keys().collect::<Vec<_>>(), ["ok_1"]);
        let many: serde_json::Map<String, Value> =
            (0..5000).map(|n| (format!("p{n}"), fill.clone())).collect();
        assert_eq!(read(json!(many)).len(), 64);
    }
}
