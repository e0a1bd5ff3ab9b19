//! The pools of warm browsers of a host.

use camofleet_actors::launch::prewarm::PoolSettings;
use camofleet_actors::model::session::LaunchTemplate;
use camofleet_api::request::SessionRequest;

use crate::settings::{PoolDefinition, RunnerSettings};

/// The pools of `RUNNER_POOLS`, and the two that have settings of their own, which are disabled where one of the others
/// keeps the same browsers. `template` says what the browser of a request is launched with.
///
/// # Errors
/// Two pools of `RUNNER_POOLS` keep the same browsers, or a request has no template.
pub(super) fn prewarm_pools(
    runner: &RunnerSettings,
    template: impl Fn(&SessionRequest) -> Result<LaunchTemplate, String>,
) -> Result<Vec<PoolSettings>, String> {
    let classic = [("headless", true, runner.prewarm_headless), ("vnc", false, runner.prewarm_vnc)];
    let pool = |name: &str, template, target| PoolSettings {
        name: name.into(),
        template,
        target,
        check_interval: runner.prewarm_check_interval,
    };
    let mut pools: Vec<PoolSettings> = Vec::new();
    for PoolDefinition { name, count, request } in &runner.pools {
        let template = template(request).map_err(|problem| format!("RUNNER_POOLS: {name}: {problem}"))?;
        let pool = pool(name, template, *count);
        if let Some(other) = same_browsers(&pools, &pool) {
            return Err(format!(
                "RUNNER_POOLS: the browsers of the pools {:?} and {name:?} are the same; keep one of the two",
                other.name.as_str()
            ));
        }
        pools.push(pool);
    }
    for (name, headless, count) in classic {
        let mut pool = pool(name, LaunchTemplate::plain(headless), count);
        if let Some(other) = same_browsers(&pools, &pool) {
            log::info!("the {} pool of RUNNER_POOLS takes the place of the {name} pool", other.name);
            pool.target = 0;
        }
        pools.push(pool);
    }
    Ok(pools)
}

/// The pool that keeps the same browsers as this one, where both are enabled.
fn same_browsers<'a>(pools: &'a [PoolSettings], pool: &PoolSettings) -> Option<&'a PoolSettings> {
    pools.iter().find(|other| other.target > 0 && pool.target > 0 && other.template == pool.template)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::Host;

    /// The pools by name, with their targets.
    fn pools_of(text: &str) -> Result<Vec<(String, usize)>, String> {
        let settings = Host::new().env("RUNNER_POOLS", text).load().unwrap().settings;
        let template = |request: &SessionRequest| Ok(LaunchTemplate::plain(request.headless.unwrap_or(true)));
        let pools = prewarm_pools(&settings.runner, template)?;
        Ok(pools.into_iter().map(|pool| (pool.name.as_str().to_owned(), pool.target)).collect())
    }

    #[test]
    fn a_pool_takes_the_place_of_the_classic_one_with_the_same_browsers() {
        let pools = |text: &str| {
            let pools = pools_of(text).unwrap();
            pools.iter().map(|(name, target)| format!("{name} {target}")).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(pools("[]"), "headless 1, vnc 1");
        let plain = r#"{"name": "plain", "count": 3, "request": {}}"#;
        assert_eq!(pools(&format!("[{plain}]")), "plain 3, headless 0, vnc 1");
        let screen = r#"{"name": "screen", "count": 2, "request": {"headless": false}}"#;
        assert_eq!(pools(&format!("[{plain}, {screen}]")), "plain 3, screen 2, headless 0, vnc 0");
        let off = r#"{"name": "off", "count": 0, "request": {}}"#;
        assert_eq!(pools(&format!("[{off}]")), "off 0, headless 1, vnc 1");
        assert_eq!(pools(&format!("[{off}, {plain}]")), "off 0, plain 3, headless 0, vnc 1");
    }

    #[test]
    fn two_pools_of_the_same_browsers_are_refused_by_name() {
        let error = pools_of(
            r#"[{"name": "a", "count": 1, "request": {}},
                {"name": "b", "count": 1, "request": {"labels": {"team": "b"}, "proxy": "socks5://b.example"}}]"#,
        )
        .unwrap_err();
        assert!(
            error.starts_with(r#"RUNNER_POOLS: the browsers of the pools "a" and "b" are the same"#),
            "{error}"
        );
    }

    #[test]
    fn a_pool_whose_browsers_can_not_be_launched_is_refused_by_name() {
        let pools = r#"[{"name": "a", "count": 1, "request": {"timezone": "auto"}}]"#;
        let settings = Host::new().env("RUNNER_POOLS", pools).load().unwrap().settings;
        let error = prewarm_pools(&settings.runner, |_| Err("timezone: no".to_owned())).unwrap_err();
        assert_eq!(error, "RUNNER_POOLS: a: timezone: no");
    }
}
