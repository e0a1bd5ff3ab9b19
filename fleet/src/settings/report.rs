//! What `camofleet config` prints.

use std::fmt::Write as _;

use super::sources::InForce;

/// Every setting in force, as `NAME=value` with its source behind it; secrets are masked.
pub fn report(in_force: &[InForce], explain: bool) -> String {
    let assignments: Vec<String> =
        in_force.iter().map(|value| format!("{}={}", value.setting.name, shown(value))).collect();
    // A long value pushes its own source aside, not everybody's.
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

fn shown(value: &InForce) -> String {
    match &value.text {
        None => String::new(),
        Some(_) if value.setting.is_secret() => "********".to_owned(),
        Some(text) => text.escape_debug().to_string().replace("\\\"", "\""),
    }
}
