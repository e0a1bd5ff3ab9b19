//! Network diagnostics: URLs that a worker fetches once, when it starts, to show which its browsers can reach.

use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use crate::model::error::with_sources;
use crate::net::http::HttpClient;

/// Which URLs a worker fetches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiagnosticsSettings {
    /// The URLs.
    pub urls: Vec<Url>,
    /// How long each may take to respond.
    pub timeout: Duration,
}

/// The result for one URL. It does not affect the worker's health: a host without internet access can be healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Diagnosis {
    /// The health check's name.
    pub check: String,
    /// The result, as text.
    pub text: String,
}

impl Diagnosis {
    /// The diagnosis of a URL that is still being fetched.
    pub fn pending(url: &Url) -> Self {
        // Health checks must not reveal credentials.
        let mut redacted = url.clone();
        if redacted.set_username("").and_then(|()| redacted.set_password(None)).is_err() {
            log::debug!("{} can't hold credentials", redacted.scheme());
        }
        Self { check: format!("network {redacted}"), text: "being fetched".to_owned() }
    }
}

/// Fetches a URL and describes the result. Redirects are not followed.
pub(super) async fn fetch(url: Url, limit: Duration) -> String {
    let started = Instant::now();
    match tokio::time::timeout(limit, status_of(&url, limit)).await {
        Ok(Ok(status)) => format!("{status} in {} ms", started.elapsed().as_millis()),
        Ok(Err(why)) => format!("failed: {why}"),
        Err(_) => format!("failed: no answer within {} s", limit.as_secs_f32()),
    }
}

async fn status_of(url: &Url, limit: Duration) -> Result<u16, String> {
    let client = HttpClient::once(url.scheme() == "https", limit).build();
    let answer = client.get(url.as_str()).send().await.map_err(|error| with_sources(&error))?;
    Ok(answer.status().as_u16())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Long enough for a response on loopback, short enough to wait for a timeout.
    const LIMIT: Duration = Duration::from_millis(400);

    /// A server that accepts one connection and sends this response.
    async fn site(answer: &'static str) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://user:secret@{}/", listener.local_addr().unwrap());
        actix_rt::spawn(async move {
            let (mut caller, _) = listener.accept().await.unwrap();
            let _ = caller.read(&mut [0; 1024]).await;
            let _ = caller.write_all(answer.as_bytes()).await;
            std::future::pending::<()>().await;
        });
        url.parse().unwrap()
    }

    #[actix::test]
    async fn any_response_is_shown_with_its_status_and_duration() {
        for (answer, status) in [
            ("HTTP/1.1 204 No Content\r\n\r\n", "204 in "),
            ("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", "302 in "),
        ] {
            let text = fetch(site(answer).await, LIMIT * 10).await;
            assert!(text.starts_with(status) && text.ends_with(" ms"), "{text}");
        }
    }

    #[actix::test]
    async fn a_url_that_never_responds_fails_after_the_timeout() {
        assert_eq!(fetch(site("").await, LIMIT).await, "failed: no answer within 0.4 s");
    }

    #[actix::test]
    async fn a_refused_connection_is_reported_as_such() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let text = fetch(format!("http://{free}/").parse().unwrap(), LIMIT).await;
        assert!(text.starts_with("failed: ") && text.contains("refused"), "{text}");
    }

    #[test]
    fn credentials_are_not_shown() {
        let url = "http://user:secret@example.com/a".parse().unwrap();
        assert_eq!(Diagnosis::pending(&url).check, "network http://example.com/a");
    }
}
