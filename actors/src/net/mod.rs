//! Connections to others: relays, the HTTP client, TLS, the Kubernetes API, and VNC's protocol.

pub(crate) mod http;
pub mod kubernetes;
pub(crate) mod patience;
pub mod relay;
pub mod rfb;
pub(crate) mod tls;
