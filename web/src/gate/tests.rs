//! The gate as a table: method × origin × content type × host × token.

use actix_web::http::header::{HeaderName, HeaderValue};

use super::*;
use crate::settings::AccessNames;

const OWN: &str = "fleet.example:9000";

fn access() -> AccessSettings {
    AccessSettings {
        cors_origins: CorsOrigins::List(vec!["https://portal.example".to_owned()]),
        public_hosts: None,
        reach: Reach::Everywhere,
        api_token: None,
        open_views: true,
        frame_ancestors: "'self'".to_owned(),
        names: AccessNames {
            cors_origins: "CONTROL_CORS_ORIGINS",
            public_hosts: "CONTROL_PUBLIC_HOSTS",
            api_token: "CONTROL_API_TOKEN",
        },
    }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    headers
}

/// The result of the gate: a caller, or an error code.
fn answer(access: &AccessSettings, request: &str, pairs: &[(&'static str, &str)]) -> Result<Caller, String> {
    answer_of(&Surface::Control, access, request, pairs)
}

/// The same for a server whose metrics are at `/ops/metrics`.
fn answer_of(
    surface: &Surface,
    access: &AccessSettings,
    request: &str,
    pairs: &[(&'static str, &str)],
) -> Result<Caller, String> {
    let (method, target) = request.split_once(' ').unwrap();
    let mut all = vec![("host", OWN)];
    all.extend_from_slice(pairs);
    let handshake = method == "WS";
    let mut head = RequestHead::default();
    head.method = if handshake { Method::GET } else { method.parse().unwrap() };
    head.uri = target.parse().unwrap();
    head.headers = headers(&all);
    access
        .admit((surface, "/ops/metrics"), &GateRequest::of(&head, handshake))
        .map_err(|refusal| refusal.code().to_owned())
}

/// Requests that a foreign page must not be able to send: reads, writes, streams, pictures, handshakes.
const PRIVATE: [&str; 26] = [
    "GET /sessions",
    "GET /api/sessions",
    "HEAD /sessions",
    "GET /sessions/local/1",
    "GET /sessions/local/1/screenshot",
    "GET /sessions/local/1/events",
    "GET /workers",
    "GET /events",
    "GET /fleet/history",
    "GET /metrics",
    "GET /openapi.json",
    "GET /profiles",
    "POST /profiles/import?name=anna",
    "GET /profiles/anna",
    "GET /profiles/anna/cookies",
    "PUT /profiles/anna/cookies",
    "GET /profiles/anna/archive",
    "GET /websockify/view?token=6900",
    "POST /sessions",
    "POST /api/sessions/local/1/touch",
    "DELETE /sessions/local/1",
    "POST /workers/local/drain",
    "POST /health",
    "OPTIONS /sessions",
    "WS /sessions/local/1/ws",
    "WS /websockify?token=6900",
];

#[test]
fn pages_of_other_origins_are_rejected_and_programs_are_not() {
    let access = access();
    for request in PRIVATE {
        for own in [
            &[][..],
            &[("origin", "http://fleet.example:9000")],
            &[("origin", "https://FLEET.example:9000"), ("sec-fetch-site", "same-origin")],
            &[("origin", "https://portal.example"), ("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
            // Behind a proxy that changed `Host`, or forwarded it in another header.
            &[("origin", "https://public.example"), ("x-forwarded-host", "public.example, inner")],
            &[("origin", "https://public.example"), ("sec-fetch-site", "same-origin")],
        ] {
            assert_eq!(answer(&access, request, own), Ok(Caller::Trusted), "{request} {own:?}");
        }
        for foreign in [
            &[("origin", "http://evil.example")][..],
            &[("origin", "null")],
            &[("origin", "http://fleet.example")],
            &[("origin", "http://fleet.example:9001"), ("sec-fetch-site", "same-site")],
            &[("origin", "http://fleet.example:9000.evil.example")],
            &[("origin", "http://fleet.example:9000"), ("sec-fetch-site", "cross-site")],
            &[("origin", "https://portal.example.evil.example")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
        ] {
            let refused = Err("cross_origin".to_owned());
            assert_eq!(answer(&access, request, foreign), refused, "{request} {foreign:?}");
        }
    }
}

#[test]
fn pages_can_be_opened_from_any_origin_and_health_reveals_little() {
    let access = access();
    for request in [
        "GET /",
        "HEAD /",
        "GET /assets/index-1.js",
        "GET /vnc/6900",
        "GET /vnc/6900/vnc.html",
        "GET /docs",
        "GET /docs/swagger-ui.css",
        "GET /health",
        "GET /api/health",
    ] {
        for foreign in [("origin", "http://evil.example"), ("sec-fetch-site", "cross-site")] {
            assert_eq!(answer(&access, request, &[foreign]), Ok(Caller::Foreign), "{request}");
        }
    }
    for request in ["POST /", "WS /", "GET /vncother", "GET /documents", "WS /vnc/6900/websockify"] {
        let refused = Err("cross_origin".to_owned());
        assert_eq!(answer(&access, request, &[("origin", "http://evil.example")]), refused, "{request}");
    }
}

#[test]
fn paths_are_compared_as_the_router_decodes_them() {
    let escaped = |request: &str| {
        let (method, target) = request.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let letter = path.rfind(char::is_alphabetic).unwrap();
        format!("{method} {}%{:02x}{}?{query}", &path[..letter], path.as_bytes()[letter], &path[letter + 1..])
    };
    let (foreign, own) = ([("origin", "http://evil.example")], []);
    let screen = Surface::SharedScreen { assets: None };
    let star = AccessSettings { cors_origins: CorsOrigins::Any, ..access() };
    for request in [
        "GET /websockify?token=6900",
        "GET /websockify/view?token=6900",
        "GET /api/websockify/view",
        "GET /profiles/anna/cookies",
        "GET /api/profiles/anna/archive?worker=east",
        "GET /ops/metrics",
        "GET /api/ops/metrics",
        "GET /openapi.json",
        "GET /health",
        "GET /vnc.html",
        "GET /docs/swagger-ui.css",
        "GET /vnc/6900",
        "WS /websockify?token=6900&key=00",
        "WS /vnc/6900/websockify?key=00",
        "WS /sessions/local/1/ws?key=00",
    ] {
        for surface in [&screen, &Surface::Control, &Surface::Gateway, &Surface::Runner] {
            for access in [&access(), &star] {
                for pairs in [&foreign[..], &own] {
                    let plain = answer_of(surface, access, request, pairs);
                    let written = answer_of(surface, access, &escaped(request), pairs);
                    assert_eq!(written, plain, "{} {surface:?}", escaped(request));
                }
            }
        }
    }
    for request in
        ["GET /%77ebsockify/view", "GET /ops/metrics", "GET /ops/metrics/", "GET /%61pi/ops/metric%73"]
    {
        let refused = Err("cross_origin".to_owned());
        assert_eq!(answer_of(&screen, &access(), request, &foreign), refused, "{request}");
    }
    assert_eq!(answer_of(&screen, &access(), "GET /app/metrics", &foreign), Ok(Caller::Foreign));
}

#[test]
fn a_live_view_s_url_with_its_key_can_be_opened_by_any_page() {
    let foreign = [("origin", "http://evil.example")];
    for (request, expected) in [
        ("WS /websockify?token=6900&key=00", Ok(Caller::Foreign)),
        ("WS /vnc/6900/websockify?key=00", Ok(Caller::Foreign)),
        ("WS /websockify?token=6900&key=", Err("cross_origin".to_owned())),
        ("WS /sessions/local/1/ws?key=00", Err("cross_origin".to_owned())),
        ("GET /websockify/view?token=6900&key=00", Err("cross_origin".to_owned())),
    ] {
        assert_eq!(answer(&access(), request, &foreign), expected, "{request}");
    }
}

#[test]
fn a_star_allows_every_page_to_read_and_none_to_write() {
    let access = AccessSettings { cors_origins: CorsOrigins::Any, ..access() };
    for request in PRIVATE {
        let reads = ["GET", "HEAD"].contains(&request.split(' ').next().unwrap());
        let secret = ["websockify", "cookies", "archive"].iter().any(|secret| request.contains(secret));
        let reads = reads && !secret;
        let expected = if reads { Ok(Caller::Reader) } else { Err("cross_origin".to_owned()) };
        assert_eq!(answer(&access, request, &[("origin", "null")]), expected, "{request}");
    }
    for (wanted, expected) in [("GET", Ok(Caller::Reader)), ("POST", Err("cross_origin".to_owned()))] {
        let preflight = [("origin", "http://evil.example"), ("access-control-request-method", wanted)];
        assert_eq!(answer(&access, "OPTIONS /sessions", &preflight), expected, "{wanted}");
    }
}

#[test]
fn servers_with_limited_reach_answer_only_to_their_own_names() {
    let loopback = AccessSettings { reach: Reach::Machine, ..access() };
    let named = AccessSettings {
        public_hosts: Some(vec!["fleet.example".to_owned(), "*.lan".to_owned()]),
        ..access()
    };
    let both = AccessSettings { reach: Reach::Machine, ..named.clone() };
    let published = AccessSettings { reach: Reach::Containers, ..access() };
    // host, on loopback, wider with names, on loopback with names, a container's published there
    for (host, expected) in [
        ("localhost", [true, true, true, true]),
        ("localhost:9000", [true, true, true, true]),
        ("LOCALHOST.:9000", [true, true, true, true]),
        ("panel.localhost", [true, true, true, true]),
        ("127.0.0.1:9000", [true, true, true, true]),
        ("127.1.2.3", [true, true, true, true]),
        ("[::1]:9000", [true, true, true, true]),
        ("fleet.example", [false, true, true, false]),
        ("a.lan:80", [false, true, true, false]),
        (".lan", [false, false, false, false]),
        ("evil.example", [false, false, false, false]),
        ("localhost.evil.example", [false, false, false, false]),
        ("evil.example:127", [false, false, false, false]),
        // Probes of a pod use its address, which can't be rebound.
        ("10.0.0.7:9000", [false, true, false, true]),
        ("[fd00::7]", [false, true, false, true]),
        ("control:9000", [false, false, false, true]),
        ("evil.example.", [false, false, false, false]),
    ] {
        for (access, expected) in [&loopback, &named, &both, &published].into_iter().zip(expected) {
            let answered = answer(access, "GET /health", &[("host", host)]);
            let wanted = if expected { Ok(Caller::Trusted) } else { Err("unknown_host".to_owned()) };
            assert_eq!(answered, wanted, "{host} {access:?}");
        }
    }
    assert_eq!(answer(&access(), "POST /sessions", &[("host", "any.example")]), Ok(Caller::Trusted));
    for host in [
        "",
        "localhost:1@evil.example",
        "evil@localhost",
        "[localhost]evil.example",
        "\u{e9}vil.example",
        "a b",
    ] {
        let answered = answer(&loopback, "GET /health", &[("host", host)]);
        assert!(answered.is_err(), "{host}: {answered:?}");
    }
    // An absolute URL as target wins over `Host`.
    let refused = Err("unknown_host".to_owned());
    assert_eq!(answer(&loopback, "GET http://evil.example/health", &[("host", "localhost")]), refused);
    assert_eq!(
        answer(&loopback, "GET http://localhost/health", &[("host", "evil.example")]),
        Ok(Caller::Trusted)
    );
    // A page that was rebound to this address has the same origin, so it can set this header.
    let rebound =
        [("host", "evil.example"), ("origin", "http://evil.example"), ("x-forwarded-host", "localhost")];
    assert_eq!(answer(&loopback, "GET /sessions", &rebound), Err("unknown_host".to_owned()));
}

#[test]
fn an_open_server_beyond_loopback_warns_with_the_remedy() {
    let warning = access().warning().unwrap();
    assert!(warning.contains("CONTROL_API_TOKEN") && warning.contains("127.0.0.1"), "{warning}");
    for reach in [Reach::Machine, Reach::Containers] {
        assert_eq!(AccessSettings { reach, ..access() }.warning(), None);
    }
    assert_eq!(AccessSettings { api_token: Some("t".to_owned()), ..access() }.warning(), None);
}
