//! TLS connections to other machines, with the certificate authorities that this one trusts.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The TLS configuration for connections to other machines, built on first use because a fleet on one machine never needs it.
pub(crate) fn client_config() -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    Arc::clone(CONFIG.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in found.errors {
            log::warn!("could not read a certificate authority: {error}");
        }
        // Certificates that can't be parsed are ignored, as in other programs.
        let _ = roots.add_parsable_certificates(found.certs);
        config(roots)
    }))
}

fn config(roots: RootCertStore) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    #[allow(clippy::expect_used)]
    let builder = versions.expect("ring supports the protocol versions that rustls calls safe");
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Starts TLS on a connection to a host.
///
/// # Errors
/// The host's certificate is not trusted, or the connection broke.
pub(crate) async fn connect<S>(host: &str, stream: S) -> io::Result<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(client_config()).connect(name, stream).await
}
