//! What each role says of its health, and what a control says of its workers.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::Time;
use crate::facts::Facts;
use crate::lenient::if_understood;

/// Whether all is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// It is.
    Ok,
    /// A check fails; or, of a control: it has no worker, or an unhealthy one. Another version may have more words.
    #[serde(other)]
    Degraded,
}

impl HealthStatus {
    /// `ok` or its opposite.
    pub fn of(ok: bool) -> Self {
        if ok { Self::Ok } else { Self::Degraded }
    }

    /// The API's name.
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
    /// `ok`, or `degraded` while a check fails.
    pub status: HealthStatus,
    /// What runs there.
    #[serde(default)]
    #[schema(required)]
    pub version: String,
    /// What was checked, and what was seen.
    #[serde(default, deserialize_with = "texts")]
    #[schema(required)]
    pub checks: BTreeMap<String, String>,
    /// The names of the checks that fail; empty also where a machine does not say which: an original.
    #[serde(default, deserialize_with = "if_understood")]
    #[schema(required)]
    pub failing: Vec<String>,
    /// The same as values; null where there are none: of a gateway, or of an original.
    #[serde(default, deserialize_with = "if_understood")]
    #[schema(required)]
    pub facts: Option<Facts>,
    /// Whether everybody who reaches it may do everything: it listens beyond loopback and asks for no token. Null of a
    /// worker that another server shows.
    #[serde(default)]
    #[schema(required)]
    pub insecure: Option<bool>,
}

/// The original's checks may have values of any kind.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let values = BTreeMap::<String, Value>::deserialize(deserializer)?;
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(values.into_iter().map(|(name, value)| (name, text(value))).collect())
}

/// What is known of a worker: its health, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum WorkerDetail {
    /// What it says of itself.
    Health(Box<Health>),
    /// Why it says nothing.
    Error {
        /// For people.
        error: String,
    },
}

/// One worker's status: an element of `GET /workers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerStatus {
    /// What it is called in paths and requests.
    pub name: String,
    /// Whether sessions can be placed on it.
    pub healthy: bool,
    /// Its health, or why there is none.
    pub detail: WorkerDetail,
    /// Whether its sessions can have live views.
    #[serde(default)]
    #[schema(required)]
    pub supports_vnc: bool,
    /// How many live sessions it has.
    #[serde(default)]
    #[schema(required)]
    pub sessions: usize,
    /// Its sessions are shown as they were last seen, because it does not answer.
    #[serde(default)]
    #[schema(required)]
    pub stale: bool,
    /// Whether it accepts no more sessions.
    #[serde(default)]
    #[schema(required)]
    pub draining: bool,
    /// Where its API is; null of one in this process.
    #[serde(default)]
    #[schema(required)]
    pub url: Option<String>,
    /// When it last answered; null of one that has not yet, and of one in this process. A new answer alone causes no
    /// event.
    #[serde(default)]
    #[schema(required)]
    pub last_contact: Option<Time>,
}

impl WorkerStatus {
    /// Whether it differs from an earlier status by more than the time of the last answer.
    pub fn differs_from(&self, before: &Self) -> bool {
        Self { last_contact: before.last_contact, ..self.clone() } != *before
    }

    /// The same for callers without access to the fleet: whether the worker is well, without where and how it runs.
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
    /// Whether everybody who reaches this server may do everything: it listens beyond loopback and asks for no token.
    #[serde(default)]
    #[schema(required)]
    pub insecure: bool,
}

impl ControlHealth {
    /// The health of a fleet of these workers.
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
    use crate::facts::{EngineFacts, PoolFill, Pools, SessionDefaults, Slots};
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
    fn the_health_of_the_original_is_read_and_has_no_facts() {
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
    fn our_own_is_read_with_everything_in_it() {
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
        let fill = PoolFill { ready: 0, launching: 1, target: 1, last_error: Some("no luck".into()) };
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
            pools: Pools { headless: Some(fill), vnc: None },
            slots: Some(Slots { used: 1, total: 3 }),
            drivers: Some(1),
            draining: true,
            started_at: Some(Time("2026-01-31T12:00:00Z".parse().unwrap())),
            host_name: Some("worker-0".into()),
        };
        assert_eq!(health.facts, Some(facts));
    }

    #[test]
    fn what_another_version_does_not_tell_is_missing_and_what_only_it_knows_is_passed_over() {
        let with = |facts: Value| read(json!({"status": "ok", "facts": facts})).facts;
        assert_eq!(with(json!({"sessions": 1, "moon": "full", "defaults": {"proxy": null}})), {
            Some(Facts { sessions: 1, ..Facts::default() })
        });
        assert_eq!(with(json!(null)), None);
        let foreign = read(json!({"status": "starting"}));
        assert_eq!(foreign.status, HealthStatus::Degraded, "a word that only another version knows");
        let strange = read(json!({"status": "ok", "failing": "driver", "facts": {"sessions": "many"}}));
        assert_eq!((strange.status, strange.failing.len(), strange.facts), (HealthStatus::Ok, 0, None));
    }
}
