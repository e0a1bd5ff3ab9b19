//! How the pools of warm browsers are read.

use camofleet_api::proxy::is_pool_name;
use camofleet_api::request::SessionRequest;
use serde_json::{Map, Value};

/// The names of the pools of `RUNNER_PREWARM_HEADLESS` and `RUNNER_PREWARM_VNC`.
const CLASSIC: [&str; 2] = ["headless", "vnc"];
/// The most pools, and the most browsers of one.
const POOLS_LIMIT: usize = 32;
const COUNT_LIMIT: u64 = 64;
const FIELDS: [&str; 3] = ["name", "count", "request"];

/// One pool of warm browsers, as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolDefinition {
    /// Its name.
    pub name: String,
    /// How many browsers it keeps.
    pub count: usize,
    /// A create request that its browsers suit.
    pub request: SessionRequest,
}

/// Reads pools. The errors name the pool and the field, never a value, which may have a password.
pub fn definitions(text: &str) -> Result<Vec<PoolDefinition>, String> {
    // The parser's own errors name a position; those of typed values would repeat the value.
    let pools: Vec<Map<String, Value>> = match serde_json::from_str(text) {
        Ok(Value::Array(pools)) if pools.len() > POOLS_LIMIT => {
            return Err(format!("it has {} pools, of {POOLS_LIMIT} at most", pools.len()));
        }
        Ok(Value::Array(pools)) => {
            let fields = |(at, pool)| match pool {
                Value::Object(fields) => Ok(fields),
                _ => Err(format!("[{at}] must be an object")),
            };
            pools.into_iter().enumerate().map(fields).collect::<Result<_, _>>()?
        }
        Ok(_) => return Err("it is another kind of value".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    let mut definitions: Vec<PoolDefinition> = Vec::new();
    for (at, fields) in pools.iter().enumerate() {
        let pool = definition(at, fields)?;
        if definitions.iter().any(|other| other.name == pool.name) {
            return Err(format!("two pools have the name {:?}", pool.name));
        }
        definitions.push(pool);
    }
    Ok(definitions)
}

fn definition(at: usize, fields: &Map<String, Value>) -> Result<PoolDefinition, String> {
    let name = match fields.get("name").and_then(Value::as_str) {
        Some(name) if CLASSIC.contains(&name) => {
            let setting = format!("RUNNER_PREWARM_{}", name.to_ascii_uppercase());
            return Err(format!("the name {name:?} is that of the pool of {setting}; choose another one"));
        }
        Some(name) if is_pool_name(name) => name.to_owned(),
        _ => return Err(format!("[{at}] must have a 'name' of letters, digits, - and _")),
    };
    let known = |key: &&String| FIELDS.contains(&key.as_str());
    if let Some(unknown) = fields.keys().find(|key| !known(key)) {
        return Err(format!("{name}: there is no field {unknown:?}, only 'name', 'count' and 'request'"));
    }
    let count = fields.get("count").and_then(Value::as_u64).filter(|count| *count <= COUNT_LIMIT);
    let count = count
        .and_then(|count| usize::try_from(count).ok())
        .ok_or_else(|| format!("{name}: 'count' must be a whole number from 0 to {COUNT_LIMIT}"))?;
    let Some(Value::Object(request)) = fields.get("request") else {
        return Err(format!("{name}: 'request' must be an object, with the fields of a create request"));
    };
    let known = SessionRequest::fields();
    if let Some(unknown) = request.keys().find(|key| !known.contains(key)) {
        return Err(format!("{name}: a create request has no field {unknown:?}, only {}", known.join(", ")));
    }
    let request = SessionRequest::from_fields(request).map_err(|error| format!("{name}: {error}"))?;
    Ok(PoolDefinition { name, count, request })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_has_a_name_a_count_and_a_create_request() {
        let read = definitions(
            r#"[{"name": "plain", "count": 2, "request": {}},
                {"name": "eu_1", "count": 0, "request": {"headless": false, "proxy": "socks5://a.example"}}]"#,
        )
        .unwrap();
        let names: Vec<_> = read.iter().map(|pool| (pool.name.as_str(), pool.count)).collect();
        assert_eq!(names, [("plain", 2), ("eu_1", 0)]);
        assert_eq!((read[0].request.headless, read[1].request.headless), (None, Some(false)));
        assert_eq!(definitions("[]"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_wrong_with_a_pool_is_named_without_values() {
        let pool = |rest: &str| format!(r#"[{{"name": "a", {rest}}}]"#);
        for (text, expected) in [
            ("{}".to_owned(), "it is another kind of value"),
            ("[".to_owned(), "EOF while parsing a list at line 1 column 1"),
            ("[5]".to_owned(), "[0] must be an object"),
            (r#"[{"count": 1, "request": {}}]"#.to_owned(), "[0] must have a 'name' of letters, digits, - and _"),
            (r#"[{"name": "s3cr3t/", "count": 1, "request": {}}]"#.to_owned(), "[0] must have a 'name'"),
            (r#"[{"name": "vnc", "count": 1, "request": {}}]"#.to_owned(), "the name \"vnc\" is that of the pool of RUNNER_PREWARM_VNC"),
            (pool(r#""count": 65, "request": {}"#), "a: 'count' must be a whole number from 0 to 64"),
            (pool(r#""count": "1", "request": {}"#), "a: 'count' must be"),
            (pool(r#""count": 1"#), "a: 'request' must be an object"),
            (pool(r#""count": 1, "size": 1, "request": {}"#), "a: there is no field \"size\""),
            (pool(r#""count": 1, "request": {"heedless": true}"#), "a: a create request has no field \"heedless\""),
            (pool(r#""count": 1, "request": {"headless": 5}"#), "a: headless: must be true or false"),
            (pool(r#""count": 1, "request": {"proxy": "ftp://me:s3cr3t@x"}"#), "a: proxy: must be a URL"),
            (
                r#"[{"name": "a", "count": 1, "request": {}}, {"name": "a", "count": 1, "request": {"vnc": true}}]"#.to_owned(),
                "two pools have the name \"a\"",
            ),
            (format!("[{}]", vec!["{}"; 33].join(",")), "it has 33 pools, of 32 at most"),
        ] {
            let error = definitions(&text).unwrap_err();
            assert!(error.starts_with(expected) && !error.contains("s3cr3t"), "{text}: {error}");
        }
    }
}
