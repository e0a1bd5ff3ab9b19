//! The programs of a display, and their command lines.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::keyboard::ClipboardSource;
use super::parts::ScreenSpec;
use camofleet_api::identity::ScreenSize;

use crate::net::rfb::EXTENDED_CLIPBOARD_LIMIT;
use crate::process::{Os, Program};

/// Which programs to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VncBackend {
    /// Xvnc if it is installed, otherwise Xvfb with x11vnc.
    #[default]
    Auto,
    /// TigerVNC's Xvnc: display and VNC server in one process.
    Xvnc,
    /// Xvfb as the display, x11vnc as its VNC server.
    X11vnc,
}

/// Size and depth of a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Pixels across.
    pub width: u16,
    /// Pixels down.
    pub height: u16,
    /// Bits a pixel.
    pub depth: u8,
}

impl Geometry {
    /// The same depth, in this size if one is wanted.
    pub(crate) fn of_size(self, size: Option<ScreenSize>) -> Self {
        match size {
            Some(ScreenSize { width, height }) => Self { width, height, ..self },
            None => self,
        }
    }
}

/// The installed programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DisplayTools {
    /// One process is X server and VNC server.
    Xvnc(PathBuf),
    /// Two processes.
    X11vnc {
        /// The X server.
        xvfb: PathBuf,
        /// The VNC server.
        x11vnc: PathBuf,
    },
}

/// x11vnc iterates over all possible file descriptors when it starts, which takes minutes of CPU with the limits of
/// container engines (docker-selenium#2045). An X server needs few: for one browser and some viewers.
const OPEN_FILES: u64 = 1024;

/// x11vnc polls its screen only while it has viewers, so a new viewer first gets what was on the screen when the last one
/// disconnected. Measured until the next poll: 80 ms, occasionally 590.
const X11VNC_REFRESH_DELAY: Duration = Duration::from_millis(600);

/// What x11vnc prints to its standard error when its socket accepts viewers.
pub(super) const X11VNC_READY: &str = "listening on unix socket";

impl DisplayTools {
    /// Finds the programs.
    ///
    /// # Errors
    /// One line that names what is missing and how to install it.
    pub fn find(backend: VncBackend, os: &dyn Os) -> Result<Self, String> {
        let program = |name: &str| os.find_program(Path::new(name));
        let xvnc = || program("Xvnc").map(Self::Xvnc);
        let x11vnc = || Some(Self::X11vnc { xvfb: program("Xvfb")?, x11vnc: program("x11vnc")? });
        let (found, missing) = match backend {
            VncBackend::Auto => (
                xvnc().or_else(x11vnc),
                "Xvnc, nor Xvfb with x11vnc; 'apt-get install tigervnc-standalone-server'",
            ),
            VncBackend::Xvnc => {
                (xvnc(), "Xvnc; 'apt-get install tigervnc-standalone-server', or set RUNNER_VNC_BACKEND=auto")
            }
            VncBackend::X11vnc => {
                (x11vnc(), "Xvfb with x11vnc; 'apt-get install xvfb x11vnc', or set RUNNER_VNC_BACKEND=auto")
            }
        };
        found.ok_or_else(|| format!("live views are off: this machine has no {missing}"))
    }

    /// The name of the programs in health checks and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Xvnc(_) => "xvnc",
            Self::X11vnc { .. } => "xvfb + x11vnc",
        }
    }

    /// How long after a viewer has connected the server may show it an old state of the screen.
    pub(super) fn refresh_delay(&self) -> Duration {
        match self {
            Self::Xvnc(_) => Duration::ZERO,
            Self::X11vnc { .. } => X11VNC_REFRESH_DELAY,
        }
    }

    /// Where the VNC server reads the clipboard.
    pub(super) fn clipboard_source(&self) -> ClipboardSource {
        match self {
            Self::Xvnc(_) => ClipboardSource::Selections,
            Self::X11vnc { .. } => ClipboardSource::CutBuffer,
        }
    }

    /// The X server, which prints its display number on its standard output when it is ready.
    pub(super) fn x_server(&self, screen: &ScreenSpec, env: Vec<(String, String)>) -> Program {
        let Geometry { width, height, depth } = screen.geometry;
        let mut args = vec![format!(":{}", screen.display)];
        args.extend(["-displayfd", "1", "-nolisten", "tcp", "-noreset", "-auth"].map(String::from));
        args.push(screen.authority.display().to_string());
        // Firefox renders WebGL with EGL, in its own processes. The server's OpenGL would be unused, and cost a third of
        // its start and half of its memory.
        args.extend(["-extension", "GLX"].map(String::from));
        let path = match self {
            Self::Xvnc(path) => {
                args.extend([
                    "-geometry".into(),
                    format!("{width}x{height}"),
                    "-depth".into(),
                    depth.to_string(),
                ]);
                // No TCP port: viewers connect to camofleet, which proxies them.
                args.extend(["-rfbport".into(), "-1".into(), "-rfbunixpath".into()]);
                args.push(screen.socket.display().to_string());
                // Several viewers may watch at once, and none may change the screen's size, which belongs to the browser's
                // fingerprint.
                args.extend(["-AlwaysShared=1", "-AcceptSetDesktopSize=0"].map(String::from));
                // All connections come from camofleet, so failed ones of some viewers would block the others.
                args.push("-UseBlacklist=0".to_owned());
                args.push(format!("-MaxCutText={EXTENDED_CLIPBOARD_LIMIT}"));
                args.extend(match &screen.password_file {
                    None => vec!["-SecurityTypes=None".to_owned()],
                    Some(file) => {
                        vec!["-SecurityTypes=VncAuth".to_owned(), format!("-PasswordFile={}", file.display())]
                    }
                });
                args.extend(["-desktop".into(), screen.name.clone()]);
                path
            }
            Self::X11vnc { xvfb, .. } => {
                args.extend(["-screen".into(), "0".into(), format!("{width}x{height}x{depth}")]);
                xvfb
            }
        };
        Program { path: path.clone(), args, env, max_open_files: Some(OPEN_FILES) }
    }

    /// The separate VNC server, which prints [`X11VNC_READY`] when it listens; `None` if the X server is also the VNC server.
    pub(super) fn vnc_server(&self, screen: &ScreenSpec, env: Vec<(String, String)>) -> Option<Program> {
        let Self::X11vnc { x11vnc, .. } = self else { return None };
        let mut args = vec!["-display".to_owned(), format!(":{}", screen.display), "-auth".to_owned()];
        args.push(screen.authority.display().to_string());
        args.extend(["-unixsock".to_owned(), screen.socket.display().to_string()]);
        // No TCP port, neither IPv4 nor IPv6, for the same reason.
        args.extend(["-rfbport", "0", "-rfbportv6", "0", "-no6"].map(String::from));
        args.extend(["-forever", "-shared"].map(String::from));
        // Without these, it polls the screen only every 1.5 s while there is no input, which would delay screenshots.
        args.extend(["-nonap", "-sb", "0"].map(String::from));
        args.extend(match &screen.password_file {
            None => vec!["-nopw".to_owned()],
            Some(file) => vec!["-rfbauth".to_owned(), file.display().to_string()],
        });
        Some(Program { path: x11vnc.clone(), args, env, max_open_files: Some(OPEN_FILES) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fake_os::FakeOs;

    #[test]
    fn xvnc_is_preferred_and_x11vnc_is_the_fallback() {
        let os = FakeOs::new();
        assert_eq!(DisplayTools::find(VncBackend::Auto, &os).unwrap().name(), "xvnc");
        assert_eq!(DisplayTools::find(VncBackend::X11vnc, &os).unwrap().name(), "xvfb + x11vnc");
        os.uninstall("Xvnc");
        assert_eq!(DisplayTools::find(VncBackend::Auto, &os).unwrap().name(), "xvfb + x11vnc");
    }

    #[test]
    fn missing_tools_are_one_line_with_the_package_to_install() {
        let os = FakeOs::new();
        ["Xvnc", "x11vnc"].iter().for_each(|name| os.uninstall(name));
        for (backend, package) in [
            (VncBackend::Auto, "tigervnc-standalone-server"),
            (VncBackend::Xvnc, "tigervnc-standalone-server"),
            (VncBackend::X11vnc, "xvfb x11vnc"),
        ] {
            let text = DisplayTools::find(backend, &os).unwrap_err();
            assert!(text.contains(package) && !text.contains('\n'), "{text}");
        }
    }
}
