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
        /// The origins whose pages may use the role worker; * lets all of them read, and change nothing.
        cors_origins: CorsOrigins = required("WORKER_CORS_ORIGINS", "[]", ORIGINS),
        /// The names by which the role worker may be addressed beside localhost; unset: any, unless it listens on
        /// loopback alone.
        public_hosts: Option<Vec<String>> = optional("WORKER_PUBLIC_HOSTS", HOSTS),
        /// A token that every API call of the role worker has to bring; unset: none is asked for.
        api_token: Option<Secret> = optional("WORKER_API_TOKEN", TOKEN),
        /// Whether the role worker refuses to start without a token.
        require_token: bool = required("WORKER_REQUIRE_TOKEN", "false", SWITCH),
        /// Where the role worker has its metrics.
        metrics_endpoint: String = required("WORKER_METRICS_ENDPOINT", "/metrics", HTTP_PATH),
        /// Seconds after which the role worker disconnects a peer of a relay that takes nothing.
        write_timeout: Duration = required("WORKER_WRITE_TIMEOUT", "30", WRITE_TIMEOUT),
        /// What the role worker calls itself in its sessions' worker_id; unset: the name of its machine.
        id: Option<String> = optional("WORKER_ID", text(253)),
        /// The runner of the role worker, such as http://127.0.0.1:8070; unset: the worker runs one in its own process.
        runner_url: Option<Url> = optional("WORKER_RUNNER_BASE_URL", API_BASE),
        /// The token that the role worker presents to its runner: the runner's RUNNER_API_TOKEN.
        runner_token: Option<Secret> = optional("WORKER_RUNNER_TOKEN", TOKEN),
        /// Whether sessions may have a live view; unset: in the role worker not, in serve where the machine can.
        supports_vnc: Option<bool> = optional("WORKER_SUPPORTS_VNC", SWITCH),
        /// Wins over RUNNER_SESSION_DEFAULTS__IDLE_TTL_SECONDS wherever it is set; unset, a worker asks a remote runner
        /// for 300.
        default_idle_ttl: Option<Duration> = optional("WORKER_SESSION_DEFAULTS__IDLE_TTL_SECONDS", IDLE_TTL),
        /// Wins over RUNNER_SESSION_DEFAULTS__HEADLESS wherever it is set; unset, a worker asks a remote runner for
        /// false.
        default_headless: Option<bool> = optional("WORKER_SESSION_DEFAULTS__HEADLESS", SWITCH),
        /// How many seconds a remote runner may take to answer anything but a create.
        request_timeout: Duration = required("WORKER_REQUEST_TIMEOUT", "10", PATIENCE),
        /// How many seconds a remote runner may take to create a session: its launch timeouts and a margin.
        create_timeout: Duration = required("WORKER_CREATE_TIMEOUT", "50", PATIENCE),
        /// How often a worker polls the sessions and the health of its remote runner.
        poll_interval: Duration = required("WORKER_POLL_INTERVAL_SECONDS", "1.0", PATIENCE),
        /// How long such a poll may take.
        poll_timeout: Duration = required("WORKER_POLL_TIMEOUT_SECONDS", "1.5", PATIENCE),
    }
}
