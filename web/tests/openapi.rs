//! The OpenAPI document of each surface, and the page that displays it.

// An unexpected document fails its test.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use awc::http::StatusCode;
use awc::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use camofleet_web::Surface;
use serde_json::{Value, json};
use support::{Api, Chain, Options, api, worker};

async fn serving(surface: Surface) -> Api {
    api(Options { surface, ..Options::default() }).await
}

async fn document(surface: Surface) -> Value {
    let api = serving(surface).await;
    let (status, document) = api.get("/openapi.json").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(api.get("/api/openapi.json").await.1, document, "it is the same below either root");
    api.stop().await;
    document
}

/// All operations, as `METHOD path`.
fn operations(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| {
        let methods = item.as_object().unwrap().keys().map(|method| method.to_uppercase());
        methods.map(|method| format!("{method} {path}")).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of).collect()
}

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// The fields that a schema requires, including those of its parts.
fn required(document: &Value, schema: &Value) -> BTreeSet<String> {
    if let Some(name) = schema["$ref"].as_str() {
        return required(document, document.pointer(name.trim_start_matches('#')).unwrap());
    }
    let parts = schema["allOf"].as_array().into_iter().flatten();
    let own = schema["required"].as_array().into_iter().flatten();
    let own = own.map(|name| name.as_str().unwrap().to_owned());
    parts.flat_map(|part| required(document, part)).chain(own).collect()
}

/// The target of a redirect.
async fn location(url: &str) -> String {
    let client = awc::Client::builder().disable_redirects().finish();
    let answer = client.get(url).send().await.unwrap();
    answer.headers().get(LOCATION).unwrap().to_str().unwrap().to_owned()
}

fn names(object: &Value) -> BTreeSet<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

#[actix_web::test]
async fn each_surface_has_all_of_its_routes_in_its_document() {
    let control = [
        "GET /health",
        "GET /workers",
        "GET /fleet/history",
        "GET /events",
        "GET /sessions",
        "POST /sessions",
        "GET /sessions/{worker}/{id}",
        "PATCH /sessions/{worker}/{id}",
        "DELETE /sessions/{worker}/{id}",
        "GET /sessions/{worker}/{id}/egress",
        "GET /sessions/{worker}/{id}/identity",
        "POST /sessions/{worker}/{id}/touch",
        "GET /sessions/{worker}/{id}/screenshot",
        "GET /sessions/{worker}/{id}/events",
        "GET /sessions/{worker}/{id}/ws",
        "POST /proxies/check",
        "GET /profiles",
        "POST /profiles",
        "POST /profiles/import",
        "GET /profiles/{name}",
        "PATCH /profiles/{name}",
        "DELETE /profiles/{name}",
        "POST /profiles/{name}/clone",
        "GET /profiles/{name}/archive",
        "GET /profiles/{name}/cookies",
        "PUT /profiles/{name}/cookies",
        "POST /workers/{worker}/drain",
        "DELETE /workers/{worker}/drain",
        "GET /websockify",
        "GET /websockify/view",
        "GET /metrics",
    ];
    let host = [
        "GET /health",
        "POST /drain",
        "DELETE /drain",
        "GET /events",
        "GET /sessions",
        "POST /sessions",
        "GET /sessions/{id}",
        "PATCH /sessions/{id}",
        "DELETE /sessions/{id}",
        "GET /sessions/{id}/egress",
        "GET /sessions/{id}/identity",
        "POST /sessions/{id}/touch",
        "GET /sessions/{id}/screenshot",
        "GET /sessions/{id}/events",
        "GET /sessions/{id}/ws",
        "POST /proxies/check",
        "GET /profiles",
        "POST /profiles",
        "POST /profiles/import",
        "GET /profiles/{name}",
        "PATCH /profiles/{name}",
        "DELETE /profiles/{name}",
        "POST /profiles/{name}/clone",
        "GET /profiles/{name}/archive",
        "GET /profiles/{name}/cookies",
        "PUT /profiles/{name}/cookies",
        "GET /metrics",
    ];
    let gateway = ["GET /health", "GET /websockify", "GET /websockify/view", "GET /metrics"];
    for (surface, expected) in [
        (Surface::Control, &control[..]),
        (worker(), &host),
        (Surface::Runner, &host),
        (Surface::Gateway, &gateway),
    ] {
        let document = document(surface.clone()).await;
        assert_eq!(operations(&document), set(expected), "{surface:?}");
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(document["servers"], json!([{ "url": "." }]), "an ingress may put anything before it");
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(document.pointer(name).is_some(), "{surface:?} has no {name}");
        }
    }
}

#[actix_web::test]
async fn a_session_has_exactly_the_fields_that_its_surface_requires() {
    for surface in [Surface::Control, worker(), Surface::Runner] {
        let api = serving(surface.clone()).await;
        let session = api.create(r#"{"vnc":true}"#).await;
        let (_, document) = api.get("/openapi.json").await;
        let answers = &document["paths"]["/sessions"]["post"]["responses"];
        let schema = &answers["201"]["content"]["application/json"]["schema"];
        assert_eq!(required(&document, schema), names(&session), "{surface:?}");
        let (_, health) = api.get("/health").await;
        let schema = &document["paths"]["/health"]["get"]["responses"]["200"]["content"]["application/json"];
        assert_eq!(required(&document, &schema["schema"]), names(&health), "{surface:?}");
        api.stop().await;
    }
    let worker = document(worker()).await;
    assert!(
        worker["components"]["schemas"].get("RunnerSession").is_none(),
        "a role has no other role's kind"
    );
}

/// Checks a body against its schema: each object must have exactly the fields that the schema requires.
fn assert_fits(document: &Value, schema: &Value, body: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        return assert_fits(document, document.pointer(name.trim_start_matches('#')).unwrap(), body, at);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        // A nullable schema, or one of two objects, of which the first is the usual one.
        let fits = choices.iter().find(|choice| (choice["type"] == "null") == body.is_null());
        return assert_fits(document, fits.unwrap_or_else(|| panic!("{at}: {body}")), body, at);
    }
    match body {
        Value::Object(fields) => {
            let Some(properties) = schema["properties"].as_object() else { return };
            assert_eq!(required(document, schema), names(body), "{at}");
            for (name, value) in fields {
                assert_fits(document, &properties[name], value, &format!("{at}.{name}"));
            }
        }
        Value::Array(items) => {
            for item in items {
                assert_fits(document, &schema["items"], item, &format!("{at}[]"));
            }
        }
        _ => {
            let kind = match body {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::Number(number) if number.is_f64() => "number",
                Value::String(_) => "string",
                _ => "integer",
            };
            let kinds = &schema["type"];
            let fits = kinds == kind || kinds.as_array().is_some_and(|kinds| kinds.contains(&json!(kind)));
            assert!(fits, "{at}: {body} is not of {schema}");
        }
    }
}

#[actix_web::test]
async fn health_workers_and_history_fit_their_schemas_down_to_the_last_field() {
    let fits = async |api: &Api, path: &str| {
        let (_, document) = api.get("/openapi.json").await;
        let answers = &document["paths"][path]["get"]["responses"];
        let schema = &answers["200"]["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{path}");
        assert_fits(&document, schema, &api.get(path).await.1, path);
    };
    let chain = Chain::new(Options { prewarm: 1, ..Options::default() }).await;
    for (api, path) in [
        (&chain.control, "/health"),
        (&chain.control, "/workers"),
        (&chain.control, "/fleet/history"),
        (&chain.worker, "/health"),
        (&chain.runner, "/health"),
    ] {
        fits(api, path).await;
    }
    chain.stop().await;
    let gateway = serving(Surface::Gateway).await;
    fits(&gateway, "/health").await;
    gateway.stop().await;
}

/// The control role's document, from which the panel's types are generated.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../frontend/openapi.json");

#[actix_web::test]
async fn the_file_that_the_panel_s_types_are_made_from_is_the_document() {
    let document = document(Surface::Control).await;
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(FILE, format!("{document:#}\n")).unwrap();
        return;
    }
    let file = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(file == format!("{document:#}\n"), "frontend/openapi.json is out of date; run `make api-docs`");
}

#[actix_web::test]
async fn every_code_that_the_page_of_errors_names_is_in_the_control_role_s_document() {
    let api = api(Options { token: Some("s3cret".into()), ..Options::default() }).await;
    let (_, document) = api.get("/openapi.json").await;
    api.stop().await;
    // Not errors of API routes: unknown routes, other methods, other hosts, and pages.
    let elsewhere = set(&[
        "not_found",
        "method_not_allowed",
        "bad_request",
        "head_too_large",
        "head_too_slow",
        "not_acceptable",
        "panel_missing",
    ]);
    let table = include_str!("../../docs/errors.md");
    let rows = table.lines().filter(|line| line.starts_with("| 4") || line.starts_with("| 5"));
    let mut seen = 0;
    for row in rows {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let (status, codes) = (cells.next().unwrap(), cells.next().unwrap());
        for code in
            codes.split('`').filter(|code| code.contains('_') || code.chars().all(char::is_alphabetic))
        {
            if code.is_empty() || elsewhere.contains(code) {
                continue;
            }
            seen += 1;
            let all = document["paths"]
                .as_object()
                .unwrap()
                .values()
                .flat_map(|item| item.as_object().unwrap().values());
            let descriptions =
                all.filter_map(|operation| operation["responses"][status]["description"].as_str());
            let named = |text: &str| {
                text.trim_start_matches("`code`: ").split(", ").any(|descriptions| descriptions == code)
            };
            assert!(descriptions.into_iter().any(named), "no route is documented with {status} {code}");
        }
    }
    assert!(seen > 20, "{seen} codes were found in docs/errors.md");
}

#[actix_web::test]
async fn the_token_is_documented_where_one_is_configured() {
    let guarded = api(Options { token: Some("s3cret".into()), ..Options::default() }).await;
    let (status, document) = guarded.get("/openapi.json").await;
    guarded.stop().await;
    assert_eq!(status, StatusCode::OK, "the document itself needs none");
    assert_eq!(
        document["components"]["securitySchemes"]["header"],
        json!({"type": "http", "scheme": "bearer"})
    );
    let list = &document["paths"]["/sessions"]["get"];
    assert_eq!(list["security"], json!([{"header": []}, {"query": []}]));
    assert!(list["responses"]["401"].is_object());
    assert!(document["paths"]["/health"]["get"].get("security").is_none());
    let open = serving(Surface::Control).await;
    let (_, document) = open.get("/openapi.json").await;
    open.stop().await;
    assert!(document["paths"]["/sessions"]["get"]["responses"].get("401").is_none());
}

#[actix_web::test]
async fn the_page_and_its_files_are_served_from_the_binary_by_relative_urls() {
    for surface in [Surface::Control, worker(), Surface::Runner, Surface::Gateway] {
        let api = serving(surface).await;
        for root in ["", "/api"] {
            let url = |path: &str| format!("{}{root}{path}", api.origin);
            let mut page = api.client.get(url("/docs")).send().await.unwrap();
            assert_eq!(page.headers().get(CONTENT_TYPE).unwrap(), "text/html; charset=utf-8");
            let page = String::from_utf8(page.body().await.unwrap().to_vec()).unwrap();
            assert!(page.contains("\"docs/start.js\"") && !page.contains("://"), "{page}");
            let mut start = api.client.get(url("/docs/start.js")).send().await.unwrap();
            let start = String::from_utf8(start.body().await.unwrap().to_vec()).unwrap();
            assert!(start.contains("url: 'openapi.json'"), "{start}");
            for (file, kind) in [("swagger-ui-bundle.js", "text/javascript"), ("swagger-ui.css", "text/css")]
            {
                assert!(page.contains(&format!("\"docs/{file}\"")), "{page}");
                let get = async |encoding: &str| {
                    let request = api.client.get(url(&format!("/docs/{file}"))).no_decompress();
                    let mut answer = request.insert_header((ACCEPT_ENCODING, encoding)).send().await.unwrap();
                    let body = answer.body().limit(4 << 20).await.unwrap();
                    assert_eq!(answer.status(), StatusCode::OK);
                    let name = answer.headers().get(CONTENT_TYPE).unwrap().to_str().unwrap();
                    assert_eq!(name, format!("{kind}; charset=utf-8"));
                    (answer.headers().get(CONTENT_ENCODING).cloned(), body)
                };
                let (encoding, packed) = get("br, gzip;q=0.5, identity;q=0.1").await;
                assert_eq!(encoding.unwrap(), "gzip");
                let (encoding, plain) = get("identity").await;
                assert!(encoding.is_none() && std::str::from_utf8(&plain).is_ok());
                assert!(plain.len() > 3 * packed.len() && packed.starts_with(&[0x1f, 0x8b]));
            }
            assert_eq!(location(&url("/docs/")).await, "../docs");
            let (status, body) = api.get(&format!("{root}/docs/other.js")).await;
            assert_eq!((status, &body["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
        }
        api.stop().await;
    }
    let runner = serving(Surface::Runner).await;
    let root = location(&format!("{}/", runner.origin)).await;
    assert_eq!(root, "docs", "a role without a page of its own shows its API");
    runner.stop().await;
}

#[actix_web::test]
async fn an_unsupported_method_is_answered_with_the_supported_ones() {
    let api = serving(Surface::Control).await;
    let answer = api.client.delete(format!("{}/sessions", api.origin)).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.headers().get("allow").unwrap()),
        (405, &"GET, HEAD, POST".parse().unwrap())
    );
    api.stop().await;
}
