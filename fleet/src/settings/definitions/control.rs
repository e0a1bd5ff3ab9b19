//! The settings of the control: its workers, the REST API and the panel.

use std::net::IpAddr;
use std::time::Duration;

use camofleet_actors::fleet::Placement;
use camofleet_web::CorsOrigins;

use super::*;
use crate::settings::kinds::*;
use crate::settings::topology::{DiscoveryEntry, WorkerEntry};
use crate::settings::types::Secret;

static CONTROL: Section =
    Section { table: "control", prefix: "CONTROL_", title: "Control: the REST API and the panel" };

/// The worker of the original's compose file.
pub const DEFAULT_WORKERS: &str = r#"[{"name": "local", "url": "http://worker:8080"}]"#;

settings! {
    /// The REST API, the panel and the workers behind them.
    pub struct ControlSettings in CONTROL {
        /// The address to listen on; unset: 127.0.0.1 in serve, and 0.0.0.0, every IPv4 address, in the role control.
        host: Option<String> = optional("CONTROL_HOST", HOST),
        /// The port to listen on; 0 takes a free one.
        port: u16 = required("CONTROL_PORT", "9000", LISTEN_PORT),
        /// The origins whose pages may call the API, besides the panel; * lets all of them read, without credentials,
        /// and change nothing.
        cors_origins: CorsOrigins = required("CONTROL_CORS_ORIGINS", "[]", ORIGINS),
        /// In a container: the address at which the ports of serve, control and gateway are published; on loopback they
        /// are as safe as without a container, and check the host names of requests.
        published_at: Option<IpAddr> = optional("CONTROL_PUBLISHED_AT", ADDRESS),
        /// The host names that serve, control and gateway accept besides localhost; unset: any, unless they listen, or
        /// are published, on loopback only.
        public_hosts: Option<Vec<String>> = optional("CONTROL_PUBLIC_HOSTS", HOSTS),
        /// Whose pages may show the panel and live views in a frame.
        frame_ancestors: String = required("CONTROL_FRAME_ANCESTORS", "self", FRAME_ANCESTORS),
        /// The workers of the role control.
        workers: Vec<WorkerEntry> = required("CONTROL_WORKERS", DEFAULT_WORKERS, WORKERS),
        /// The token that control presents to workers without a token of their own, discovered ones included: their
        /// WORKER_API_TOKEN.
        workers_token: Option<Secret> = optional("CONTROL_WORKERS_TOKEN", TOKEN),
        /// Names that stand for more workers of the role control, which come and go with the names' SRV or A records,
        /// or with the pods of a Kubernetes Service; where it is set, the default of CONTROL_WORKERS is no worker.
        discovery: Vec<DiscoveryEntry> = or_empty("CONTROL_DISCOVERY", DISCOVERY),
        /// How often DNS names are looked up; changes of a Kubernetes Service are seen at once.
        discovery_interval: Duration = required("CONTROL_DISCOVERY_INTERVAL_SECONDS", "2.0", PATIENCE),
        /// Whether control sets the deletion costs of these workers' pods by their sessions, so that Kubernetes removes
        /// the least busy first.
        pod_deletion_cost: bool = required("CONTROL_POD_DELETION_COST", "0", SWITCH),
        /// Which of the suitable workers gets a session whose request names none.
        placement: Placement = required("CONTROL_PLACEMENT", "round_robin", choice()),
        /// How many seconds a worker may take to answer a request other than a create.
        request_timeout: Duration = required("CONTROL_REQUEST_TIMEOUT", "10", PATIENCE),
        /// How many seconds a worker may take to create a session: its runner's launch timeouts and a margin.
        create_timeout: Duration = required("CONTROL_CREATE_TIMEOUT", "60", PATIENCE),
        /// How often control polls the sessions and the health of each worker.
        poll_interval: Duration = required("CONTROL_POLL_INTERVAL_SECONDS", "1.0", PATIENCE),
        /// How long such a poll may take.
        poll_timeout: Duration = required("CONTROL_POLL_TIMEOUT_SECONDS", "1.5", PATIENCE),
        /// The path of the Prometheus metrics.
        metrics_endpoint: String = required("CONTROL_METRICS_ENDPOINT", "/metrics", HTTP_PATH),
        /// Seconds after which a peer of a relay that reads nothing is disconnected.
        write_timeout: Duration = required("CONTROL_WRITE_TIMEOUT", "30", WRITE_TIMEOUT),
        /// The path under which clients reach the API; it is put before the ws_endpoint of a session.
        public_api_prefix: String = required("CONTROL_PUBLIC_API_PREFIX", "/", HTTP_PREFIX),
        /// The path under which people reach the panel and live views; it is put before relative addresses of live
        /// views.
        public_pages_prefix: String = required("CONTROL_PUBLIC_PAGES_PREFIX", "/", HTTP_PREFIX),
        /// The token that every API request to serve, control and gateway must carry; unset: none is required.
        api_token: Option<Secret> = optional("CONTROL_API_TOKEN", TOKEN),
        /// Whether serve, control and gateway refuse to start without a token.
        require_token: bool = required("CONTROL_REQUIRE_TOKEN", "false", SWITCH),
        /// How often an idle WebSocket is pinged, because many proxies close one that is silent for 60 seconds.
        ws_ping: Duration = required("CONTROL_WS_PING_SECONDS", "20", seconds(1.0, 55.0)),
    }
}
