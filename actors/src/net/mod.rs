//! Network protocols: relays, the HTTP client, TLS, the Kubernetes API and VNC.

pub(crate) mod http;
pub mod kubernetes;
pub(crate) mod patience;
pub mod relay;
pub mod rfb;
pub(crate) mod tls;
