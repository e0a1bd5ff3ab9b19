//! Network protocols: relays, the HTTP client, name servers, TLS, the Kubernetes API and VNC.

pub(crate) mod dns;
pub(crate) mod http;
pub mod kubernetes;
pub mod relay;
pub mod rfb;
pub(crate) mod timed_write;
pub(crate) mod tls;
