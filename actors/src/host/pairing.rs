//! Which driver, of which version of Playwright, can drive a build of a browser.

use std::cmp::Ordering;
use std::fmt;

use super::engine::{Engine, EngineKind};

/// From this version of Playwright on, Camoufox has to be at least that build. Playwright 1.61 sends the viewport in a form that
/// older builds reject, so that each context with a viewport fails. Measured: 1.60 works with beta.29 and beta.30, 1.61 and 1.62
/// with beta.30 only. The library has the same table (`PLAYWRIGHT_BROWSER_FLOORS` in its `__version__.py`).
const CAMOUFOX_FLOORS: [(Release, &str); 1] = [(Release { major: 1, minor: 61 }, "beta.30")];

/// A version without its last part, which clients and servers have to share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Release {
    major: u32,
    minor: u32,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A version of Playwright that a driver has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Playwright {
    text: String,
    release: Release,
}

impl Playwright {
    /// Reads a version such as `1.62.1`; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(str::parse);
        let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) else { return None };
        Some(Self { text: text.to_owned(), release: Release { major, minor } })
    }
}

impl fmt::Display for Playwright {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Chooses the driver for a browser: of those that can drive it, the one with the newest Playwright. `drivers` are the versions
/// of all that are installed, and the result is an index of these.
///
/// # Errors
/// No driver can: one line with which build, or which Playwright, would do.
pub fn choose_driver(engine: &Engine, drivers: &[Playwright]) -> Result<usize, String> {
    let fitting = drivers.iter().enumerate().filter(|(_, driver)| floor_above(engine, driver).is_none());
    let newest = fitting.max_by(|(_, one), (_, other)| one.release.cmp(&other.release));
    if let Some((at, _)) = newest {
        return Ok(at);
    }
    let least = drivers
        .iter()
        .filter_map(|driver| floor_above(engine, driver))
        .min_by(|one, other| one.0.cmp(&other.0));
    let installed: Vec<String> = drivers.iter().map(Playwright::to_string).collect();
    Err(match least {
        Some((from, build)) => format!(
            "{engine} is too old for Playwright {}, which needs the build {build} or newer: install it ('camofleet setup \
             camoufox'), name another with RUNNER_CAMOUFOX_PATH, or install a driver with a Playwright older than {from}",
            installed.join(" and ")
        ),
        None => "there is no driver; run 'make setup'".to_owned(),
    })
}

/// The floor that keeps this Playwright from driving this browser. A Camoufox without a version file, such as one that somebody
/// built, is believed to be current, as its own library does.
fn floor_above(engine: &Engine, driver: &Playwright) -> Option<(Release, &'static str)> {
    if engine.kind != EngineKind::Camoufox {
        return None;
    }
    let (_, build) = engine.version.as_deref()?.split_once('-')?;
    let mut floors = CAMOUFOX_FLOORS.into_iter().filter(|(from, _)| driver.release >= *from);
    floors.rfind(|(_, floor)| compare_builds(build, floor) == Ordering::Less)
}

/// Orders builds such as `alpha.26`, `beta.9`, `beta.30`: the channels by their names, then the numbers.
fn compare_builds(one: &str, other: &str) -> Ordering {
    let key = |build: &str| -> Vec<(u32, String)> {
        let part = |part: &str| {
            part.parse().map_or_else(|_| (0, part.to_lowercase()), |number| (number, String::new()))
        };
        build.split('.').map(part).collect()
    };
    key(one).cmp(&key(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(kind: EngineKind, version: Option<&str>) -> Engine {
        Engine { kind, executable: "/opt/browser".into(), version: version.map(str::to_owned) }
    }

    fn chosen(version: Option<&str>, drivers: &[&str]) -> Result<String, String> {
        let drivers: Vec<_> = drivers.iter().map(|text| Playwright::parse(text).unwrap()).collect();
        choose_driver(&engine(EngineKind::Camoufox, version), &drivers).map(|at| drivers[at].to_string())
    }

    #[test]
    fn each_build_gets_the_newest_playwright_that_can_drive_it() {
        let all = ["1.58.2", "1.60.0", "1.64.1", "1.61.1"];
        for (version, expected) in [
            (Some("156.0.1-beta.36"), "1.64.1"),
            (Some("152.0.4-beta.30"), "1.64.1"),
            (Some("152.0.4-beta.29"), "1.60.0"),
            (Some("135.0.1-beta.24"), "1.60.0"),
            (Some("150.0-alpha.99"), "1.60.0"),
            (Some("160.0-beta.100"), "1.64.1"),
            (Some("160.0-release.1"), "1.64.1"),
            (Some("156.0.1"), "1.64.1"),
            (None, "1.64.1"),
        ] {
            assert_eq!(chosen(version, &all), Ok(expected.to_owned()), "{version:?}");
        }
    }

    #[test]
    fn a_build_that_no_driver_can_drive_is_refused_with_what_would_do() {
        let text = chosen(Some("135.0.1-beta.24"), &["1.62.1", "1.64.0"]).unwrap_err();
        assert_eq!(
            text,
            "camoufox 135.0.1-beta.24 (/opt/browser) is too old for Playwright 1.62.1 and 1.64.0, which needs the build beta.30 or \
             newer: install it ('camofleet setup camoufox'), name another with RUNNER_CAMOUFOX_PATH, or install a driver with a \
             Playwright older than 1.61"
        );
        assert!(chosen(None, &[]).unwrap_err().contains("no driver"));
    }

    #[test]
    fn a_stock_firefox_is_driven_by_the_newest() {
        let drivers = [Playwright::parse("1.58.2").unwrap(), Playwright::parse("1.62.1").unwrap()];
        assert_eq!(choose_driver(&engine(EngineKind::Firefox, Some("115.0-beta.1")), &drivers), Ok(1));
        assert_eq!(Playwright::parse("next"), None);
        assert_eq!(Playwright::parse("1"), None);
    }
}
