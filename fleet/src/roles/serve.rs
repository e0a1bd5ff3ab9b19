//! The role `serve`: a whole fleet in one process.

use std::path::Path;
use std::time::Duration;

use camofleet_actors::fleet::{FleetParts, GatewayParts};
use camofleet_actors::model::events::EventBus;
use camofleet_actors::model::links::LinkBases;
use camofleet_actors::views::gateway::Targets;
use camofleet_web::Surface;

use super::host::{Host, LocalOptions};
use super::legacy::{self, ScreenServer};
use super::listen::{Listen, control_web};
use super::{Failure, Wiring, metrics, tunnel_settings};
use crate::session_log;
use crate::settings::Settings;

/// A whole fleet on one machine has one user by default.
const LOOPBACK: &str = "127.0.0.1";

pub(super) fn wire(mut settings: Settings) -> Result<Wiring, Failure> {
    // A tunnel here ends at a screen here. It must not wait longer than the screen, or the viewer would not get the reason.
    let limit = settings.runner.vnc_write_timeout;
    settings.gateway.ws_write_timeout = settings.gateway.ws_write_timeout.min(limit);
    let host = Host::find(&settings.runner)?;
    let listen = Listen::control(&settings.control, LOOPBACK);
    let listener = listen.bind()?;
    let (metrics, events) = (metrics()?, EventBus::default());
    let runner = &settings.runner;
    let screen = match &settings.legacy_vnc {
        None => None,
        Some(legacy) => Some(ScreenServer::listen(legacy, &listen)?),
    };
    let prefix = &settings.control.public_pages_prefix;
    let relative = match &screen {
        None => LinkBases::below(prefix),
        // This gateway leads to the shared screen too, whatever the id.
        Some(_) => LinkBases {
            ws: Some(format!("{prefix}/websockify?token=screen")),
            http: Some(format!("{prefix}/vnc/screen")),
        },
    };
    let options = LocalOptions {
        open_views: listen.open_views(&settings),
        name: "local",
        offers_vnc: settings.worker.supports_vnc.unwrap_or(true),
        links: LinkBases {
            ws: runner.vnc_ws_base.clone().or(relative.ws),
            http: runner.vnc_http_base.clone().or(relative.http),
        },
    };
    let driver_dir = host.driver_dir.clone();
    let worker = host.worker(&settings, options, &metrics, events.clone())?;
    // Runs as long as the event bus, which is as long as the process.
    actix_rt::spawn(session_log::write(events.subscribe()));
    let gateway = match &settings.legacy_vnc {
        Some(_) => legacy::gateway(&settings, &metrics),
        None => GatewayParts {
            settings: tunnel_settings(&settings.gateway),
            targets: Targets::Sessions,
            metrics: metrics.clone(),
        },
    };
    let token_needed = settings.control.api_token.is_some();
    Ok(Wiring {
        surface: Surface::Control,
        listener,
        web: control_web(&settings),
        fleet: FleetParts {
            workers: vec![worker],
            gateway: Some(gateway),
            demand: Some(metrics.clone()),
            ..FleetParts::default()
        },
        cluster: None,
        metrics,
        events,
        screen,
        // Viewers leave with the sessions that they watch.
        grace: Duration::ZERO,
        shutdown_timeout: settings.shutdown_time(),
        greeting: Box::new(move |origin| greeting(origin, &driver_dir, token_needed)),
    })
}

/// The address of the panel, and the first script of the README, which works unchanged: with this address, this checkout's
/// Playwright, and the access token if one is needed.
fn greeting(origin: &str, driver_dir: &Path, token_needed: bool) -> String {
    let modules = driver_dir.join("node_modules");
    let (export, headers, query) = match token_needed {
        true => (
            "  export CONTROL_API_TOKEN='the access token'\n\n",
            r#", headers: { authorization: "Bearer " + process.env.CONTROL_API_TOKEN }"#,
            r#" + "?access_token=" + encodeURIComponent(process.env.CONTROL_API_TOKEN)"#,
        ),
        false => ("", "", ""),
    };
    format!(
        r#"
camofleet is up.   Panel: {origin}/

Try it from another terminal:

{export}  NODE_PATH='{modules}' node -e '
  const {{ firefox }} = require("playwright-core");
  (async () => {{
    const api = "{origin}";
    const created = await fetch(api + "/sessions", {{ method: "POST"{headers} }});
    if (!created.ok) throw new Error(await created.text());
    const session = await created.json();
    const path = "/sessions/" + session.worker + "/" + session.id;
    const browser = await firefox.connect(api.replace("http", "ws") + path + "/ws"{query});
    const page = await browser.contexts()[0].newPage();
    await page.goto("data:text/html,<h1>Hello from camofleet</h1>");
    console.log(await page.textContent("h1"));
    await browser.close();
    await fetch(api + path, {{ method: "DELETE"{headers} }});
  }})()'

"#,
        modules = modules.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"));

    fn script(token_needed: bool) -> String {
        greeting("http://127.0.0.1:9000", Path::new("actors/driver"), token_needed)
    }

    #[test]
    fn the_printed_script_is_that_of_the_readme() {
        let printed = script(false);
        let lines: Vec<&str> = printed.lines().map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
        // A path may have blanks, so the printed one is quoted.
        let printed = lines.join("\n").replace("'actors/driver/node_modules'", "actors/driver/node_modules");
        let start = README.find("NODE_PATH=").unwrap();
        let expected = &README[start..start + README[start..].find("```").unwrap()];
        assert!(printed.contains(expected.trim()), "{printed}\n{expected}");
    }

    #[test]
    fn a_token_is_exported_before_the_script_reads_it_and_never_printed() {
        let printed = script(true);
        let exported = printed.find("export CONTROL_API_TOKEN=").unwrap();
        assert!(exported < printed.find("process.env.CONTROL_API_TOKEN").unwrap());
        assert!(!script(false).contains("CONTROL_API_TOKEN"));
    }
}
