//! Cookies of a profile: Playwright's JSON, and the text format of Netscape's `cookies.txt`.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::fields::InvalidRequest;

/// How many cookies one body may have. Firefox keeps 3000.
const LIMIT: usize = 10_000;
/// The longest value of a cookie that browsers keep, with its name, in bytes.
const SIZE_LIMIT: usize = 4096;
/// The latest expiry that is accepted, in seconds since 1970: Firefox limits it to 400 days anyway.
const LAST_EXPIRY: f64 = 253_402_300_799.0;
/// How a line of the text format begins that is a cookie which pages' scripts can't read.
const HTTP_ONLY: &str = "#HttpOnly_";

/// Which requests of other sites a cookie is sent with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum SameSite {
    /// None.
    Strict,
    /// Top-level navigations.
    Lax,
    /// All.
    None,
}

/// A cookie, as Playwright's `context.cookies()` returns it and `context.addCookies()` takes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The host; with a leading dot also all hosts below it.
    #[schema(min_length = 1, pattern = "^[^/: ]+$")]
    pub domain: String,
    /// The path that it is sent for, with everything below.
    #[serde(default = "root")]
    #[schema(pattern = "^/")]
    pub path: String,
    /// When it expires, in seconds since 1970; -1 for the end of the browser's session.
    #[serde(default = "session_end")]
    #[schema(minimum = -1)]
    pub expires: f64,
    /// Whether it is hidden from pages' scripts.
    #[serde(default)]
    pub http_only: bool,
    /// Whether it is sent only over secure connections.
    #[serde(default)]
    pub secure: bool,
    /// Which requests of other sites it is sent with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub same_site: Option<SameSite>,
}

fn root() -> String {
    "/".to_owned()
}

fn session_end() -> f64 {
    -1.0
}

impl Cookie {
    fn problem(&self) -> Option<&'static str> {
        let clean = |text: &str| !text.contains(|c: char| c.is_control());
        if self.domain.is_empty() || self.domain.contains(['/', ':', ' ']) {
            Some("its domain must be a host, with a leading dot for all hosts below it")
        } else if !self.path.starts_with('/') {
            Some("its path must begin with '/'")
        } else if self.name.len() + self.value.len() > SIZE_LIMIT {
            Some("name and value must have at most 4096 bytes together")
        } else if ![&self.name, &self.value, &self.domain, &self.path].into_iter().all(|text| clean(text)) {
            Some("it must have no control characters")
        } else if !self.name.is_ascii() || !self.value.is_ascii() {
            // Firefox would keep another text.
            Some("name and value must be ASCII; encode other characters as the site does, mostly as %XX")
        } else if self.expires != -1.0 && !(0.0..=LAST_EXPIRY).contains(&self.expires) {
            Some("its expiry must be -1, or seconds since 1970")
        } else {
            None
        }
    }
}

/// Parses a list of cookies in Playwright's JSON, or the `cookies` of its storage state.
///
/// # Errors
/// [`InvalidRequest`], with the number of the cookie, from 1.
pub fn parse_json(body: &[u8]) -> Result<Vec<Cookie>, InvalidRequest> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| InvalidRequest::Json { problem: error.to_string() })?;
    let list = match &value {
        Value::Object(state) => state.get("cookies").unwrap_or(&Value::Null),
        other => other,
    };
    let list = list.as_array().ok_or_else(|| wrong("cookies", "must be a list"))?;
    let read = |(at, cookie): (usize, &Value)| {
        let cookie: Cookie = serde_json::from_value(cookie.clone())
            .map_err(|error| wrong(format!("cookies[{}]", at + 1), error.to_string()))?;
        match cookie.problem() {
            Some(problem) => Err(wrong(format!("cookies[{}]", at + 1), problem)),
            None => Ok(cookie),
        }
    };
    if list.len() > LIMIT {
        return Err(wrong("cookies", format!("must be at most {LIMIT}")));
    }
    list.iter().enumerate().map(read).collect()
}

/// Parses the text format: lines of seven fields, separated by tabs.
///
/// # Errors
/// [`InvalidRequest`], with the number of the line.
pub fn parse_text(body: &[u8]) -> Result<Vec<Cookie>, InvalidRequest> {
    let text = std::str::from_utf8(body).map_err(|_| wrong("cookies", "must be UTF-8"))?;
    let mut cookies = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let field = format!("line {}", at + 1);
        let (http_only, line) = match line.strip_prefix(HTTP_ONLY) {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        if line.trim().is_empty() || (!http_only && line.starts_with('#')) {
            continue;
        }
        let fields: Vec<&str> = line.split('\t').collect();
        let [domain, below, path, secure, expires, name, value] = fields[..] else {
            return Err(wrong(field, "must have seven fields, separated by tabs"));
        };
        let expires: f64 =
            expires.trim().parse().map_err(|_| wrong(&field, "must have a number as its fifth field"))?;
        let domain = match (is_true(below), domain.starts_with('.')) {
            (true, false) => format!(".{domain}"),
            _ => domain.to_owned(),
        };
        let cookie = Cookie {
            name: name.to_owned(),
            value: value.to_owned(),
            domain,
            path: path.to_owned(),
            // 0 stands for a cookie of the session.
            expires: if expires <= 0.0 { -1.0 } else { expires },
            http_only,
            secure: is_true(secure),
            same_site: None,
        };
        if let Some(problem) = cookie.problem() {
            return Err(wrong(field, problem));
        }
        if cookies.len() >= LIMIT {
            return Err(wrong("cookies", format!("must be at most {LIMIT}")));
        }
        cookies.push(cookie);
    }
    Ok(cookies)
}

fn is_true(word: &str) -> bool {
    word.eq_ignore_ascii_case("true")
}

fn wrong(field: impl Into<String>, problem: impl Into<String>) -> InvalidRequest {
    InvalidRequest::Field { field: field.into(), problem: problem.into() }
}

/// Writes the text format.
pub fn to_text(cookies: &[Cookie]) -> String {
    let mut text = "# Netscape HTTP Cookie File\n".to_owned();
    let word = |flag: bool| if flag { "TRUE" } else { "FALSE" };
    for cookie in cookies {
        let Cookie { name, value, domain, path, expires, http_only, secure, .. } = cookie;
        let hidden = if *http_only { HTTP_ONLY } else { "" };
        let (below, secure) = (word(domain.starts_with('.')), word(*secure));
        // The cast saturates, and is exact for every expiry that is accepted.
        let expires = expires.max(0.0) as u64;
        // Writing to a String never fails.
        let _ = writeln!(text, "{hidden}{domain}\t{below}\t{path}\t{secure}\t{expires}\t{name}\t{value}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Netscape HTTP Cookie File\n\
                        #HttpOnly_.a.example\tTRUE\t/\tTRUE\t4000000000\tsid\tx=y\n\
                        b.example\tFALSE\t/app\tFALSE\t0\tlang\t\n";

    #[test]
    fn the_text_format_is_read_as_it_is_written() {
        let cookies = parse_text(TEXT.as_bytes()).unwrap();
        assert_eq!(cookies.len(), 2);
        assert_eq!((cookies[0].http_only, cookies[0].secure, cookies[0].expires), (true, true, 4e9));
        assert_eq!((cookies[1].domain.as_str(), cookies[1].expires), ("b.example", -1.0));
        assert_eq!(to_text(&cookies), TEXT);
        let crlf = parse_text(TEXT.replace('\n', "\r\n").as_bytes()).unwrap();
        assert_eq!(crlf, cookies);
        let below = parse_text(b"a.example\tTRUE\t/\tFALSE\t5\tn\tv").unwrap();
        assert_eq!(below[0].domain, ".a.example");
    }

    #[test]
    fn the_json_is_playwrights() {
        let body = br#"[{"name": "sid", "value": "1", "domain": ".a.example", "path": "/", "expires": -1, "httpOnly": true,
            "secure": true, "sameSite": "Lax", "partitionKey": "unknown"}, {"name": "n", "value": "", "domain": "b.example"}]"#;
        let cookies = parse_json(body).unwrap();
        assert_eq!((cookies[0].same_site, cookies[0].http_only), (Some(SameSite::Lax), true));
        assert_eq!((cookies[1].path.as_str(), cookies[1].expires, cookies[1].same_site), ("/", -1.0, None));
        let state = format!(r#"{{"cookies": {}, "origins": []}}"#, std::str::from_utf8(body).unwrap());
        assert_eq!(parse_json(state.as_bytes()).unwrap(), cookies);
        let written = serde_json::to_vec(&cookies).unwrap();
        assert_eq!(parse_json(&written).unwrap(), cookies);
    }

    #[test]
    fn what_no_browser_would_keep_is_an_error_that_names_its_place() {
        let long = format!(r#"[{{"name": "n", "value": "{}", "domain": "a"}}]"#, "x".repeat(4096));
        let many = format!("[{}]", vec![r#"{"name": "n", "value": "", "domain": "a"}"#; 10_001].join(","));
        for (body, problem) in [
            ("{", "JSON"),
            ("{}", "cookies: must be a list"),
            ("[5]", "cookies[1]: "),
            (
                r#"[{"name": "n", "value": "v", "domain": "a"}, {"name": "n", "value": "v"}]"#,
                "cookies[2]: missing field",
            ),
            (r#"[{"name": "n", "value": "v", "domain": "http://a/"}]"#, "its domain"),
            (r#"[{"name": "n", "value": "v", "domain": "a", "path": "x"}]"#, "its path"),
            (r#"[{"name": "n", "value": "a\nb", "domain": "a"}]"#, "control characters"),
            (r#"[{"name": "n", "value": "ü", "domain": "a"}]"#, "must be ASCII"),
            (r#"[{"name": "n", "value": "v", "domain": "a", "expires": -5}]"#, "its expiry"),
            (&long, "4096 bytes"),
            (&many, "at most 10000"),
        ] {
            let error = parse_json(body.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(problem), "{problem}: {error}");
        }
        for (body, problem) in [
            (&b"a.example TRUE / FALSE 0 n v"[..], "line 1: must have seven fields"),
            (b"# ok\na\tFALSE\t/\tFALSE\tsoon\tn\tv", "line 2: must have a number"),
            ("a\tFALSE\t/\tFALSE\t0\tñ\tv".as_bytes(), "line 1: name and value must be ASCII"),
            (b"\xff", "must be UTF-8"),
        ] {
            let error = parse_text(body).unwrap_err().to_string();
            assert!(error.contains(problem), "{problem}: {error}");
        }
    }
}
