//! What another machine says of its health, as its caller reads it: camofleet's own form, and the original's.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::worker::{Check, Facts};

/// The health of a worker or a runner.
#[derive(Debug, Deserialize)]
pub(super) struct WireHealth {
    status: String,
    #[serde(default)]
    pub version: String,
    #[serde(default)]
    checks: BTreeMap<String, Value>,
    /// The names of the checks that fail; the original does not tell.
    #[serde(default, deserialize_with = "if_understood")]
    failing: BTreeSet<String>,
    /// The original has none.
    #[serde(default, deserialize_with = "if_understood")]
    pub facts: Option<Facts>,
}

/// A machine is not unhealthy because it tells an addition in a form that only its own version knows.
fn if_understood<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).unwrap_or_default())
}

impl WireHealth {
    pub fn is_ok(&self) -> bool {
        self.status == "ok"
    }

    pub fn checks(&self) -> BTreeMap<Cow<'static, str>, Check> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let check = |(name, value): (&String, &Value)| {
            let check = Check { ok: !self.failing.contains(name), text: text(value) };
            (Cow::Owned(name.clone()), check)
        };
        self.checks.iter().map(check).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::prewarm::PoolFill;
    use crate::session::StartUrlWait;
    use crate::worker::{DefaultFacts, EngineFacts, PoolFacts, SlotFacts};

    fn read(body: Value) -> WireHealth {
        serde_json::from_value(body).unwrap()
    }

    fn shown(health: &WireHealth) -> Vec<(String, bool, String)> {
        let checks = health.checks().into_iter();
        checks.map(|(name, check)| (name.into_owned(), check.ok, check.text)).collect()
    }

    #[test]
    fn the_health_of_the_original_is_read_and_has_no_facts() {
        let health = read(json!({
            "status": "ok", "version": "0.1.0", "checks": {"playwright": "ready", "sessions": 1},
        }));
        assert_eq!((health.is_ok(), health.version.as_str(), &health.facts), (true, "0.1.0", &None));
        let checks = [
            ("playwright".to_owned(), true, "ready".to_owned()),
            ("sessions".to_owned(), true, "1".to_owned()),
        ];
        assert_eq!(shown(&health), checks);
        let degraded = read(json!({"status": "degraded", "checks": {"playwright": "starting"}}));
        assert!(!degraded.is_ok());
        assert_eq!(shown(&degraded), [("playwright".to_owned(), true, "starting".to_owned())]);
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
        assert!(!health.is_ok());
        let checks = [
            ("driver".to_owned(), false, "restarting".to_owned()),
            ("engine".to_owned(), true, "firefox 153.0 (/usr/bin/firefox-esr)".to_owned()),
        ];
        assert_eq!(shown(&health), checks);
        let fill = PoolFill { ready: 0, launching: 1, target: 1, last_error: Some("no luck".into()) };
        let facts = Facts {
            sessions: 2,
            capacity: Some(10),
            defaults: DefaultFacts {
                idle_ttl: Some(Duration::from_secs(300)),
                headless: Some(false),
                start_url: Some("https://example.com".into()),
                start_url_wait: Some(StartUrlWait::DomContentLoaded),
            },
            engine: Some(EngineFacts { name: "firefox".into(), version: Some("153.0".into()) }),
            playwright: Some("1.62.1".into()),
            node: Some("20.0.0".into()),
            pools: PoolFacts { headless: Some(fill), vnc: None },
            slots: Some(SlotFacts { used: 1, total: 3 }),
            drivers: Some(1),
            draining: true,
            started_at: Some("2026-01-31T12:00:00Z".parse().unwrap()),
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
        let strange = read(json!({"status": "ok", "failing": "driver", "facts": {"sessions": "many"}}));
        assert_eq!((strange.is_ok(), strange.failing.len(), strange.facts), (true, 0, None));
    }
}
