//! Network diagnostics: addresses that a worker fetches once, at its start, to show what its browsers will reach.

use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use crate::model::error::with_sources;
use crate::net::http::HttpClient;

/// Which addresses a worker fetches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiagnosticsSettings {
    /// The addresses.
    pub urls: Vec<Url>,
    /// How long each may take to answer.
    pub timeout: Duration,
}

/// What is known of one address: informational, for a host without internet is no broken host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Diagnosis {
    /// The health check's name.
    pub check: String,
    /// What came of it.
    pub text: String,
}

impl Diagnosis {
    /// Nothing yet.
    pub fn pending(url: &Url) -> Self {
        // Whoever reads the health checks need not know the credentials.
        let mut shown = url.clone();
        if shown.set_username("").and_then(|()| shown.set_password(None)).is_err() {
            log::debug!("{} can't hold credentials", shown.scheme());
        }
        Self { check: format!("network {shown}"), text: "being looked at".to_owned() }
    }
}

/// Fetches an address; the text says what came of it. Redirections are an answer.
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

    /// Long enough for everything that answers, short enough to wait for what does not.
    const LIMIT: Duration = Duration::from_millis(400);

    /// A listener that gives one caller an answer, or none.
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
    async fn an_answer_is_shown_with_its_status_and_its_time_whatever_it_says() {
        for (answer, status) in [
            ("HTTP/1.1 204 No Content\r\n\r\n", "204 in "),
            ("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", "302 in "),
        ] {
            let text = fetch(site(answer).await, LIMIT * 10).await;
            assert!(text.starts_with(status) && text.ends_with(" ms"), "{text}");
        }
    }

    #[actix::test]
    async fn an_address_that_never_answers_fails_after_the_limit() {
        assert_eq!(fetch(site("").await, LIMIT).await, "failed: no answer within 0.4 s");
    }

    #[actix::test]
    async fn a_port_that_refuses_says_so() {
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
