//! What `camofleet config` prints.

use std::fmt::Write as _;

use super::sources::InForce;
use super::topology;

/// Every setting in force, as `NAME=value` and its source; secrets are masked.
pub fn report(in_force: &[InForce], explain: bool) -> String {
    let assignments: Vec<String> =
        in_force.iter().map(|value| format!("{}={}", value.setting.name, printable(value))).collect();
    // A long value shifts its own source only.
    let width =
        assignments.iter().map(|text| text.chars().count()).filter(|width| *width <= 64).max().unwrap_or(0);
    let mut report = String::new();
    let mut title = "";
    for (value, assignment) in in_force.iter().zip(assignments) {
        let setting = value.setting;
        if title != setting.section().title {
            title = setting.section().title;
            let _ = writeln!(report, "\n# ==== {title} ====");
        }
        if explain {
            let _ = writeln!(report, "\n# {}", setting.explanation());
        }
        let _ = writeln!(report, "{assignment:width$}  # {}", value.source);
    }
    report.trim_start().to_owned()
}

/// Printed instead of a secret.
const MASKED: &str = "********";

fn printable(value: &InForce) -> String {
    match &value.text {
        None => String::new(),
        // What everybody can read in the documentation is no secret.
        Some(_) if value.setting.is_secret() && !value.is_built_in() => MASKED.to_owned(),
        Some(text) if value.setting.has_key(text) => MASKED.to_owned(),
        Some(text) if topology::has_token(text) => {
            topology::masked(text).unwrap_or_else(|| MASKED.to_owned())
        }
        Some(text) => text.escape_debug().to_string().replace("\\\"", "\""),
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::tests::Host;

    #[test]
    fn the_report_names_each_setting_with_its_source_and_masks_secrets() {
        let host = Host::new()
            .env("CONTROL_API_TOKEN", "s3cr3t")
            .env("RUNNER_PROXIES", r#"{"eu": ["socks5://me:s3cr3t@a"]}"#)
            .env("CONTROL_WORKERS", r#"[{"name": "a", "url": "http://a", "token": "s3cr3t"}]"#)
            .set("CONTROL_PORT", "9001");
        let loaded = host.load().unwrap();
        let report = loaded.report(false);
        let line = |start: &str| {
            report.lines().find(|line| line.starts_with(start)).unwrap().split_once("  #").unwrap()
        };
        assert_eq!(line("CONTROL_PORT=").0.trim_end(), "CONTROL_PORT=9001");
        assert_eq!(line("CONTROL_PORT=").1, " --set");
        assert_eq!(line("CONTROL_API_TOKEN=").0.trim_end(), "CONTROL_API_TOKEN=********");
        assert_eq!(
            line("CONTROL_WORKERS=").0.trim_end(),
            r#"CONTROL_WORKERS=[{"name":"a","token":"********","url":"http://a"}]"#
        );
        assert_eq!(
            line("RUNNER_SESSION_DEFAULTS__PROXY=").0.trim_end(),
            "RUNNER_SESSION_DEFAULTS__PROXY=auto"
        );
        assert_eq!(line("RUNNER_PROXIES=").0.trim_end(), "RUNNER_PROXIES=********");
        assert_eq!(line("RUNNER_RUN_DIR=").1, " not set");
        assert_eq!(line("RUNNER_ENGINE=").1, " the built-in default");
        assert_eq!(
            report.lines().filter(|line| line.contains('=') && !line.starts_with('#')).count(),
            loaded.in_force.len()
        );
        for text in [report, loaded.report(true), format!("{:?}", loaded.settings)] {
            assert!(!text.contains("s3cr3t"), "{text}");
        }
    }

    #[test]
    fn an_explained_report_says_what_each_setting_does() {
        let report = Host::new().load().unwrap().report(true);
        assert!(report.contains("# How many VNC viewers may be connected at once. A whole number from 1 to 100000.\nMAX_CONCURRENT_SESSIONS=1000"));
    }

    #[test]
    fn the_key_in_a_url_is_printed_neither_by_the_report_nor_by_an_error() {
        for url in ["https://a.example/?token=s3cr3t", "https://me:s3cr3t@a.example/"] {
            let report = Host::new().env("RUNNER_EXIT_IP_URL", url).load().unwrap().report(false);
            assert!(report.contains("RUNNER_EXIT_IP_URL=********") && !report.contains("s3cr3t"), "{report}");
            let error = Host::new().env("RUNNER_EXIT_IP_URL", &url.replace("https", "ftp")).error();
            assert!(error.contains("is not http(s) URLs") && !error.contains("s3cr3t"), "{error}");
        }
        let plain =
            Host::new().env("RUNNER_EXIT_IP_URL", "https://a.example/ip").load().unwrap().report(false);
        assert!(plain.contains("RUNNER_EXIT_IP_URL=https://a.example/ip"), "{plain}");
    }
}
