//! The HTTP client for calls to other machines.

use std::time::Duration;

use awc::http::header::AUTHORIZATION;

use super::tls;

/// How a client connects. Each call sets its own timeout.
pub(crate) struct HttpClient {
    /// Whether it calls `https`; certificate authorities are loaded only then.
    pub secure: bool,
    /// The timeout for establishing a connection.
    pub connect_timeout: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// The maximum number of connections.
    pub connections: usize,
    /// The `Authorization` header of each call.
    pub authorization: Option<String>,
}

impl HttpClient {
    /// A client for one call, whose connection is closed afterwards.
    pub fn once(secure: bool, connect_timeout: Duration) -> Self {
        Self { secure, connect_timeout, keep_alive: Duration::ZERO, connections: 1, authorization: None }
    }

    /// Builds the client. It follows no redirects, so that only the configured machine is called.
    pub fn build(self) -> awc::Client {
        let connector = awc::Connector::new()
            .timeout(self.connect_timeout)
            .conn_keep_alive(self.keep_alive)
            .limit(self.connections);
        let connector = if self.secure { connector.rustls_0_23(tls::client_config()) } else { connector };
        let mut client = awc::Client::builder()
            .connector(connector)
            .disable_timeout()
            .disable_redirects()
            .no_default_headers();
        if let Some(authorization) = self.authorization {
            client = client.add_default_header((AUTHORIZATION, authorization));
        }
        client.finish()
    }
}
