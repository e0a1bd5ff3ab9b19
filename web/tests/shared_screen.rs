//! The port of a shared screen: its page and noVNC's own files, and nothing else.

// The helper fails at the first error.
#![allow(clippy::unwrap_used)]

mod support;

use camofleet_web::Surface;
use support::{Api, Options, api};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The status and whole response for a path that no client has normalized.
async fn get(api: &Api, path: &str) -> (u16, String) {
    get_with(api, path, "").await
}

/// The same with another header.
async fn get_with(api: &Api, path: &str, header: &str) -> (u16, String) {
    let address = api.origin.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{header}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[actix_web::test]
async fn without_novnc_s_files_it_redirects_to_the_embedded_page() {
    let surface = Surface::SharedScreen { assets: None };
    let api = api(Options { surface, ..Options::default() }).await;
    let (status, answer) = get(&api, "/").await;
    assert_eq!(status, 303);
    assert!(answer.contains("location: vnc/screen\r\n"), "{answer}");
    assert_eq!(get(&api, "/sessions").await.0, 404);
    assert_eq!(get(&api, "/health").await.0, 200);
    api.stop().await;
}

#[actix_web::test]
async fn novnc_s_files_are_served_and_nothing_outside_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let assets = directory.path().join("novnc");
    std::fs::create_dir_all(assets.join("app")).unwrap();
    std::fs::write(assets.join("vnc.html"), "<title>noVNC</title>").unwrap();
    std::fs::write(assets.join("app/ui.js"), "connect()").unwrap();
    std::fs::write(directory.path().join("secret"), "the secret").unwrap();
    let surface = Surface::SharedScreen { assets: Some(assets) };
    let api = api(Options { surface, ..Options::default() }).await;
    let (status, answer) = get(&api, "/").await;
    assert_eq!(status, 303);
    assert!(answer.contains("location: vnc.html?autoconnect=true"), "{answer}");
    let (status, answer) = get(&api, "/vnc.html?autoconnect=true").await;
    assert_eq!((status, answer.contains("<title>noVNC</title>")), (200, true), "{answer}");
    assert!(get(&api, "/app/ui.js").await.1.contains("javascript"));
    for path in ["/../secret", "/app/../../secret", "/%2e%2e/secret", "/..%2fsecret", "/%2e%2e%2fsecret"] {
        let (status, answer) = get(&api, path).await;
        assert!(status >= 400 && !answer.contains("the secret"), "{path}: {answer}");
    }
    let (status, answer) = get(&api, "/missing.js").await;
    assert_eq!((status, answer.contains("\"code\":\"not_found\"")), (404, true), "{answer}");
    api.stop().await;
}

#[actix_web::test]
async fn of_its_routes_a_page_of_another_origin_gets_none_but_pages_and_the_health_however_they_are_written()
{
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("vnc.html"), "<title>noVNC</title>").unwrap();
    for assets in [None, Some(directory.path().to_owned())] {
        let surface = Surface::SharedScreen { assets };
        let api = api(Options { surface, metrics_path: "/ops/metrics", ..Options::default() }).await;
        let document: serde_json::Value = api.get("/openapi.json").await.1;
        let mut paths: Vec<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
        paths.extend(["/openapi.json", "/websockify"].map(str::to_owned));
        assert!(paths.contains(&"/ops/metrics".to_owned()), "{paths:?}");
        for path in paths {
            let letter = path.rfind(char::is_alphabetic).unwrap();
            let written =
                format!("{}%{:02x}{}", &path[..letter], path.as_bytes()[letter], &path[letter + 1..]);
            for path in [path.clone(), written, format!("/api{path}"), path.replacen('/', "/%61pi/", 1)] {
                let (_, own) = get(&api, &path).await;
                let (status, answer) = get_with(&api, &path, "Origin: http://evil.example\r\n").await;
                assert!(!own.contains("\"code\":\"not_found\""), "{path} is no route: {own}");
                match path.ends_with("health") || path.ends_with("healt%68") {
                    true => assert!(status == 200 && answer.ends_with("{\"status\":\"ok\"}"), "{answer}"),
                    false => assert_eq!(status, 403, "{path}: {answer}"),
                }
            }
        }
        api.stop().await;
    }
}
