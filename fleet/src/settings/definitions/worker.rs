//! The settings of the worker, which stands between a control and one runner.

use std::time::Duration;

use camofleet_web::CorsOrigins;
use url::Url;

use super::*;
use crate::settings::kinds::*;
use crate::settings::types::Secret;

static WORKER: Section = Section { table: "worker", prefix: "WORKER_", title: "Worker" };

settings! {
    /// One runner, here or elsewhere, and what its sessions default to.
    pub struct WorkerSettings in WORKER {
        /// The address that the role worker listens on.
        host: String = required("WORKER_HOST", "0.0.0.0", HOST),
        /// The port that the role worker listens on; 0 takes a free one.
        port: u16 = required("WORKER_PORT", "8080", LISTEN_PORT),
        /// The origins whose pages may call the role worker; * lets all of them read, and change nothing.
        cors_origins: CorsOrigins = required("WORKER_CORS_ORIGINS", "[]", ORIGINS),
        /// The host names that the role worker accepts besides localhost; unset: any, unless it listens on loopback
        /// only.
        public_hosts: Option<Vec<String>> = optional("WORKER_PUBLIC_HOSTS", HOSTS),
        /// The token that every API request to the role worker must carry; unset: none is required.
        api_token: Option<Secret> = optional("WORKER_API_TOKEN", TOKEN),
        /// Whether the role worker refuses to start without a token.
        require_token: bool = required("WORKER_REQUIRE_TOKEN", "false", SWITCH),
        /// The path of the role worker's Prometheus metrics.
        metrics_endpoint: String = required("WORKER_METRICS_ENDPOINT", "/metrics", HTTP_PATH),
        /// Seconds after which the role worker disconnects a peer of a relay that reads nothing.
        write_timeout: Duration = required("WORKER_WRITE_TIMEOUT", "30", WRITE_TIMEOUT),
        /// The worker_id of the role worker's sessions; unset: the name of its machine.
        id: Option<String> = optional("WORKER_ID", text(253)),
        /// The runner of the role worker, such as http://127.0.0.1:8070; unset: the worker runs one in its own process.
        runner_url: Option<Url> = optional("WORKER_RUNNER_BASE_URL", API_BASE),
        /// The token that the role worker presents to its runner: the runner's RUNNER_API_TOKEN.
        runner_token: Option<Secret> = optional("WORKER_RUNNER_TOKEN", TOKEN),
        /// Whether sessions may have a live view; unset: no in the role worker, and in serve where the machine can.
        supports_vnc: Option<bool> = optional("WORKER_SUPPORTS_VNC", SWITCH),
        /// Overrides RUNNER_SESSION_DEFAULTS__IDLE_TTL_SECONDS; unset, a worker requests 300 from a remote runner.
        default_idle_ttl: Option<Duration> = optional("WORKER_SESSION_DEFAULTS__IDLE_TTL_SECONDS", IDLE_TTL),
        /// Overrides RUNNER_SESSION_DEFAULTS__HEADLESS; unset, a worker requests false from a remote runner.
        default_headless: Option<bool> = optional("WORKER_SESSION_DEFAULTS__HEADLESS", SWITCH),
        /// How many seconds a remote runner may take to answer a request other than a create.
        request_timeout: Duration = required("WORKER_REQUEST_TIMEOUT", "10", PATIENCE),
        /// How many seconds a remote runner may take to create a session: its launch timeouts and a margin.
        create_timeout: Duration = required("WORKER_CREATE_TIMEOUT", "50", PATIENCE),
        /// How often a worker polls the sessions and the health of its remote runner.
        poll_interval: Duration = required("WORKER_POLL_INTERVAL_SECONDS", "1.0", PATIENCE),
        /// How long such a poll may take.
        poll_timeout: Duration = required("WORKER_POLL_TIMEOUT_SECONDS", "1.5", PATIENCE),
    }
}
