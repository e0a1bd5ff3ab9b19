//! The OpenAPI document of each surface, and the page that shows it.

// A document that is not as expected ends its test.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use awc::http::StatusCode;
use awc::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use camofleet_web::Surface;
use serde_json::{Value, json};
use support::{Api, Options, api};

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

fn worker() -> Surface {
    Surface::Worker { id: "w-1".to_owned() }
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

/// The fields that a schema requires, those of what it is made of included.
fn required(document: &Value, schema: &Value) -> BTreeSet<String> {
    if let Some(name) = schema["$ref"].as_str() {
        return required(document, document.pointer(name.trim_start_matches('#')).unwrap());
    }
    let parts = schema["allOf"].as_array().into_iter().flatten();
    let own = schema["required"].as_array().into_iter().flatten();
    let own = own.map(|name| name.as_str().unwrap().to_owned());
    parts.flat_map(|part| required(document, part)).chain(own).collect()
}

/// Where a page sends its reader.
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
        "GET /sessions",
        "POST /sessions",
        "GET /sessions/{worker}/{id}",
        "DELETE /sessions/{worker}/{id}",
        "POST /sessions/{worker}/{id}/touch",
        "GET /sessions/{worker}/{id}/ws",
        "GET /websockify",
        "GET /metrics",
    ];
    let host = [
        "GET /health",
        "GET /sessions",
        "POST /sessions",
        "GET /sessions/{id}",
        "DELETE /sessions/{id}",
        "POST /sessions/{id}/touch",
        "GET /sessions/{id}/ws",
        "GET /metrics",
    ];
    let gateway = ["GET /health", "GET /websockify", "GET /metrics"];
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

#[actix_web::test]
async fn every_code_that_the_readme_names_is_in_the_control_role_s_document() {
    let api = api(Options { token: Some("s3cret".into()), ..Options::default() }).await;
    let (_, document) = api.get("/openapi.json").await;
    api.stop().await;
    // Not of a route: of what is none, of another method, and of pages.
    let elsewhere = set(&["not_found", "method_not_allowed", "panel_missing"]);
    let readme = include_str!("../../README.md");
    let table = readme.split("### Errors").nth(1).unwrap().split("\n## ").next().unwrap();
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
            let told = all.filter_map(|operation| operation["responses"][status]["description"].as_str());
            let named = |text: &str| text.trim_start_matches("`code`: ").split(", ").any(|told| told == code);
            assert!(told.into_iter().any(named), "no route is documented with {status} {code}");
        }
    }
    assert!(seen > 20, "{seen} codes were found in the README");
}

#[actix_web::test]
async fn the_token_is_documented_where_there_is_one() {
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
async fn the_page_and_all_that_it_loads_come_from_the_binary_by_relative_addresses() {
    for surface in [Surface::Control, worker(), Surface::Runner, Surface::Gateway] {
        let api = serving(surface).await;
        for root in ["", "/api"] {
            let url = |path: &str| format!("{}{root}{path}", api.origin);
            let mut page = api.client.get(url("/docs")).send().await.unwrap();
            assert_eq!(page.headers().get(CONTENT_TYPE).unwrap(), "text/html; charset=utf-8");
            let page = String::from_utf8(page.body().await.unwrap().to_vec()).unwrap();
            assert!(page.contains("url: 'openapi.json'") && !page.contains("://"), "{page}");
            for (file, kind) in [("swagger-ui-bundle.js", "text/javascript"), ("swagger-ui.css", "text/css")]
            {
                assert!(page.contains(&format!("\"docs/{file}\"")), "{page}");
                let ask = async |encoding: &str| {
                    let request = api.client.get(url(&format!("/docs/{file}"))).no_decompress();
                    let mut answer = request.insert_header((ACCEPT_ENCODING, encoding)).send().await.unwrap();
                    let body = answer.body().limit(4 << 20).await.unwrap();
                    assert_eq!(answer.status(), StatusCode::OK);
                    let name = answer.headers().get(CONTENT_TYPE).unwrap().to_str().unwrap();
                    assert_eq!(name, format!("{kind}; charset=utf-8"));
                    (answer.headers().get(CONTENT_ENCODING).cloned(), body)
                };
                let (encoding, packed) = ask("br, gzip;q=0.5, identity;q=0.1").await;
                assert_eq!(encoding.unwrap(), "gzip");
                let (encoding, plain) = ask("identity").await;
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
async fn a_method_that_a_route_does_not_have_is_answered_with_those_that_it_has() {
    let api = serving(Surface::Control).await;
    let answer = api.client.delete(format!("{}/sessions", api.origin)).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.headers().get("allow").unwrap()),
        (405, &"GET, POST".parse().unwrap())
    );
    api.stop().await;
}
