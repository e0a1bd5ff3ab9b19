//! The settings of the VNC gateway, and of the one shared screen of `RUNNER_VNC_LEGACY`. Their names have no prefix.

use std::ops::RangeInclusive;
use std::time::Duration;

use camofleet_actors::display::{Geometry, VncPassword};

use super::*;
use crate::settings::kinds::*;
use crate::settings::topology::VncMap;

static GATEWAY: Section = Section { table: "gateway", prefix: "", title: "Gateway: VNC tunnels" };

static LEGACY_VNC: Section = Section {
    table: "legacy_vnc",
    prefix: "",
    title: "Legacy VNC: the one shared screen of RUNNER_VNC_LEGACY",
};

settings! {
    /// VNC tunnels.
    pub struct GatewaySettings in GATEWAY {
        /// The address that the role gateway listens on.
        host: String = required("HTTP_HOST", "0.0.0.0", HOST),
        /// The port that the role gateway listens on; 0 takes a free one.
        port: u16 = required("HTTP_PORT", "6900", LISTEN_PORT),
        /// The host of the VNC servers that the role gateway shows.
        vnc_host: String = required("VNC_DEFAULT_HOST", "127.0.0.1", HOST),
        /// The ids of live views that the role gateway shows.
        ids: RangeInclusive<u16> = required("VNC_WEB_RANGE", "6900-6904", ID_RANGE),
        /// The port of the VNC server of the first of these ids; the others follow in order.
        vnc_base_port: u16 = required("VNC_BASE_PORT", "5900", TCP_PORT),
        /// VNC servers that the role gateway finds by id; they take precedence over VNC_BASE_PORT.
        vnc_map: VncMap = or_empty("VNC_MAP_JSON", VNC_MAP),
        /// How long a viewer may be silent, without even answering pings, before its connection is closed.
        ws_read_timeout: Duration = required("WS_READ_TIMEOUT_MS", "120000", milliseconds(1000, 86_400_000)),
        /// How long a viewer may take to read what it is sent.
        ws_write_timeout: Duration = required("WS_WRITE_TIMEOUT_MS", "120000", milliseconds(1000, 86_400_000)),
        /// How many VNC viewers may be connected at once.
        max_concurrent_sessions: usize = required("MAX_CONCURRENT_SESSIONS", "1000", integer(1, 100_000)),
        /// How long connecting to a VNC server may take.
        tcp_connect_timeout: Duration = required("TCP_CONNECT_TIMEOUT_MS", "5000", milliseconds(1, 600_000)),
        /// How long a VNC connection may be silent in both directions before it is closed.
        tcp_idle_timeout: Duration = required("TCP_IDLE_TIMEOUT_MS", "300000", milliseconds(1000, 86_400_000)),
        /// How long viewers of the role gateway stay connected once it is stopped. In serve they leave with their
        /// sessions.
        shutdown_grace: Duration = required("SHUTDOWN_GRACE_MS", "30000", milliseconds(0, 3_600_000)),
    }
}

settings! {
    /// One screen for all sessions. Other programs use these names too: they are read only where it is wanted.
    pub struct LegacyVncSettings in LEGACY_VNC {
        /// The shared display.
        display: u16 = required("DISPLAY", ":1", DISPLAY),
        /// Its width, height and colour depth.
        resolution: Geometry = required("VNC_RES", "1920x1080x24", RESOLUTION),
        /// The port of its VNC server.
        vnc_port: u16 = required("VNC_PORT", "5900", TCP_PORT),
        /// The port of its noVNC page and WebSocket.
        ws_port: u16 = required("WS_PORT", "6900", TCP_PORT),
        /// The password that its VNC server requires; unset: none.
        password: Option<VncPassword> = optional("VNC_PASSWORD", VNC_PASSWORD),
    }
}
