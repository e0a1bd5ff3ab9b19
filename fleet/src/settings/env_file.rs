//! `.env`, read without a change of the process's environment.

use std::path::Path;

use super::definitions::{Setting, find};
use super::error::SettingsError;

/// What a `.env` file gives: settings, and the names of other programs' variables.
type Variables = (Vec<(&'static Setting, String)>, Vec<String>);

/// Reads a `.env` file. Lines of other programs that can't be read are skipped.
pub fn parse(path: &Path, text: &str) -> Result<Variables, SettingsError> {
    let malformed = |reason: String| SettingsError::Malformed { path: path.to_owned(), reason };
    let text: String = text.strip_prefix('\u{feff}').unwrap_or(text).lines().map(quoted).collect();
    let (mut settings, mut others) = (Vec::new(), Vec::new());
    for assignment in dotenvy::from_read_iter(text.as_bytes()) {
        match assignment {
            Ok((name, value)) => match find(&name) {
                Some(setting) => settings.push((setting, value)),
                None => others.push(name),
            },
            Err(dotenvy::Error::LineParse(..)) => {}
            Err(error) => return Err(malformed(error.to_string())),
        }
    }
    // The parser doesn't say which line is malformed, and an open quote takes the lines after it with it.
    let lost = text
        .lines()
        .filter_map(assigned)
        .map(|(setting, ..)| setting)
        .find(|setting| !settings.iter().any(|(read, _)| read.name == setting.name));
    match lost {
        Some(setting) => {
            Err(malformed(format!("a quote of {}, or of a line before it, is not closed", setting.name)))
        }
        None => Ok((settings, others)),
    }
}

/// The line with its value in quotes, if it gives one of our settings a bare value.
///
/// `dotenvy` reads bare values as a shell does: quotes vanish from `["*"]`, and a blank is an error. Env files of
/// the Python services and of Docker Compose have bare JSON, which has to be read unchanged.
fn quoted(line: &str) -> String {
    let quoted =
        assigned(line).filter(|(_, _, value)| !value.starts_with(['"', '\''])).map(|(_, start, value)| {
            let value = value.find(" #").map_or(value, |comment| &value[..comment]);
            let value = if value.starts_with('#') { "" } else { value.trim_end() };
            let escaped = value.replace('\\', r"\\").replace('"', r#"\""#);
            format!("{start}\"{escaped}\"\n")
        });
    quoted.unwrap_or_else(|| format!("{line}\n"))
}

/// Splits a line that assigns one of our settings: the setting, the line up to its value, the value.
fn assigned(line: &str) -> Option<(&'static Setting, &str, &str)> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let name = name.strip_prefix("export ").map_or(name, str::trim_start);
    let value = value.trim_start();
    Some((find(name)?, &line[..line.len() - value.len()], value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(&'static str, String)>, String> {
        parse(Path::new(".env"), text)
            .map(|(settings, _)| settings.into_iter().map(|(setting, value)| (setting.name, value)).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn values_arrive_as_they_were_meant() {
        for (line, expected) in [
            ("CONTROL_PORT=9001", "9001"),
            ("export CONTROL_PORT = 9001", "9001"),
            ("CONTROL_PORT=9001 # the panel", "9001"),
            ("CONTROL_PORT='9001'", "9001"),
            ("CONTROL_PORT=\"9001\" # the panel", "9001"),
            ("CONTROL_PORT=", ""),
            ("CONTROL_PORT= # none", ""),
            (r#"CONTROL_CORS_ORIGINS=["*"]"#, r#"["*"]"#),
            (
                r#"CONTROL_CORS_ORIGINS=["https://a.example", "https://b.example"]"#,
                r#"["https://a.example", "https://b.example"]"#,
            ),
            (r#"CONTROL_CORS_ORIGINS='["*"]'"#, r#"["*"]"#),
            ("RUNNER_SESSION_DEFAULTS__START_URL=https://a.example/#top", "https://a.example/#top"),
            (r"RUNNER_RUN_DIR=C:\temp", r"C:\temp"),
            ("\u{feff}CONTROL_PORT=9001\r", "9001"),
        ] {
            let values: Vec<String> = read(line).unwrap().into_iter().map(|(_, value)| value).collect();
            assert_eq!(values, [expected], "{line}");
        }
    }

    #[test]
    fn variables_refer_to_earlier_lines() {
        let settings = read("SITE=a.example\nRUNNER_SESSION_DEFAULTS__START_URL=https://${SITE}/\n").unwrap();
        assert_eq!(settings, [("RUNNER_SESSION_DEFAULTS__START_URL", "https://a.example/".to_owned())]);
    }

    #[test]
    fn other_programs_lines_are_skipped_even_when_unreadable() {
        let text = "# a comment's quote\nPOSTGRES_USER=me\nGREETING=hello world\nnot an assignment\nCONTROL_PORT=9001\n";
        assert_eq!(read(text).unwrap(), [("CONTROL_PORT", "9001".to_owned())]);
    }

    #[test]
    fn an_unreadable_line_of_ours_is_named() {
        let error = read("CONTROL_PORT='9001\n").unwrap_err();
        assert_eq!(error, ".env: a quote of CONTROL_PORT, or of a line before it, is not closed");
    }
}
