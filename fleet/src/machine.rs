//! What roles need of this machine: the driver, the environment of child processes, a place for run directories.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use camofleet_actors::driver::SCRIPT;
use camofleet_actors::host::pairing::Playwright;
use camofleet_actors::identities::SCRIPT as MAKER;
use camofleet_actors::net::kubernetes::Cluster;
use camofleet_api::proxy::ProxyChoice;
use url::Url;

/// The variables that child processes inherit; `*` at the end stands for any rest. All others are withheld: a variable that
/// some library in a driver, a browser or an X server happens to read would change every session.
const INHERITED: [&str; 21] = [
    "PATH",
    // Language and time zone.
    "LANG",
    "LANGUAGE",
    "LC_*",
    "LOCPATH",
    "LOCALE_ARCHIVE",
    "TZ",
    "TZDIR",
    // The name of the user.
    "USER",
    "LOGNAME",
    // Directories of the system that programs share. The user's own, such as XDG_CACHE_HOME, are below each browser's HOME.
    "XDG_DATA_DIRS",
    "XDG_CONFIG_DIRS",
    "FONTCONFIG_FILE",
    "FONTCONFIG_PATH",
    "FONTCONFIG_SYSROOT",
    // Trusted certificates: a browser has its own, Node uses the machine's.
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    // Rendering without a GPU, and the choice of one.
    "LIBGL_ALWAYS_SOFTWARE",
    "DRI_PRIME",
    "__EGL_VENDOR_LIBRARY_FILENAMES",
];

/// Variables that `RUNNER_PASS_ENVIRONMENT` can't add: camofleet's own settings, which include tokens, and those that it sets
/// itself.
const WITHHELD: [&str; 11] = [
    "RUNNER_*",
    "WORKER_*",
    "CONTROL_*",
    "VNC_*",
    "CAMOFLEET_*",
    "HOME",
    "TMPDIR",
    "DISPLAY",
    "XAUTHORITY",
    "CAMOU_CONFIG*",
    "CAMOU_PREFS*",
];

/// The environment of drivers, browsers and X servers: those of this process' `variables` that they need, and those that
/// `more` names. Their `HOME` is the run directory, and a browser's is its launch directory: no settings of the user are read
/// there, and only directories that camofleet made have to be writable.
pub fn child_environment(
    variables: impl Iterator<Item = (String, String)>,
    more: &[String],
    run_dir: &Path,
) -> Vec<(String, String)> {
    let fits = |pattern: &str, name: &str| match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    };
    let inherited = |name: &str| {
        let asked_for = more.iter().any(|pattern| fits(pattern, name));
        INHERITED.iter().any(|pattern| fits(pattern, name))
            || asked_for && !WITHHELD.iter().any(|pattern| fits(pattern, name))
    };
    let mut kept: Vec<_> = variables.filter(|(name, _)| inherited(name)).collect();
    let run_dir = run_dir.display().to_string();
    kept.extend([("HOME".to_owned(), run_dir.clone()), ("TMPDIR".to_owned(), run_dir)]);
    kept
}

/// The proxy that the environment names for other programs, with the hosts that are reached without it.
///
/// # Errors
/// A variable is not the URL of a proxy; the text names it, but not its value.
pub fn environment_proxy(variable: impl Fn(&str) -> Option<String>) -> Result<ProxyChoice, String> {
    let either = |name: &str| {
        let given = variable(name).or_else(|| variable(&name.to_ascii_uppercase()));
        given.filter(|text| !text.trim().is_empty())
    };
    let named =
        ["https_proxy", "all_proxy", "http_proxy"].into_iter().find_map(|name| Some((name, either(name)?)));
    let Some((name, text)) = named else { return Ok(ProxyChoice::Direct) };
    let server = text.parse().map_err(|error| {
        format!("{name} of the environment {error}; correct it, or set RUNNER_SESSION_DEFAULTS__PROXY=direct")
    })?;
    // Other programs read these lists in different ways: what can't be one here is none.
    let pattern = |text: &str| text.trim().parse().ok();
    let bypass = either("no_proxy").map(|hosts| hosts.split(',').filter_map(pattern).collect());
    Ok(ProxyChoice::Server { server, bypass: bypass.unwrap_or_default() })
}

/// Directories with fonts of the user that camofleet runs as: the path of each below a browser's `HOME`, and the directory
/// that it links to.
pub fn user_fonts(variable: impl Fn(&str) -> Option<PathBuf>) -> Vec<(PathBuf, PathBuf)> {
    let below_home = |path: &str| variable("HOME").map(|home| home.join(path));
    let places = [
        (".fonts", below_home(".fonts")),
        (
            ".local/share/fonts",
            variable("XDG_DATA_HOME").or_else(|| below_home(".local/share")).map(|data| data.join("fonts")),
        ),
        (
            ".config/fontconfig",
            variable("XDG_CONFIG_HOME")
                .or_else(|| below_home(".config"))
                .map(|config| config.join("fontconfig")),
        ),
    ];
    let found = places.into_iter().filter_map(|(link, target)| Some((PathBuf::from(link), target?)));
    found.filter(|(_, target)| target.is_absolute() && std::fs::read_dir(target).is_ok()).collect()
}

/// Makes Firefox do without user namespaces: it caches the result of its own check in this variable, and skips the check where
/// the variable is set (`CanCreateUserNamespace` in its `security/sandbox/linux/SandboxInfo.cpp`).
const NO_USER_NAMESPACES: (&str, &str) = ("MOZ_ASSUME_USER_NS", "0");

/// A variable without which browsers would crash in their own sandbox on this machine.
///
/// Firefox sandboxes its processes by chroot(2) in a user namespace. The system call filters of Podman and CRI-O allow the
/// namespace, but chroot(2) only with `CAP_SYS_CHROOT`, and Firefox crashes when it is refused.
pub fn sandbox_environment() -> Option<(String, String)> {
    let outcome = Command::new("unshare")
        .args(["--user", "--map-root-user", "--root=/", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match outcome {
        Ok(status) if !status.success() => {
            log::info!(
                "browsers are sandboxed without user namespaces: chroot is refused in them on this machine"
            );
            let (name, value) = NO_USER_NAMESPACES;
            Some((name.to_owned(), value.to_owned()))
        }
        // Without unshare(1) Firefox' own check decides.
        _ => None,
    }
}

/// Finds the directory of the driver: the one of the setting, in the checkout that the binary was built in, or beside its
/// installation.
///
/// # Errors
/// One line with the places that were searched, or with what the directory lacks.
pub fn driver_directory(named: Option<&Path>, executable: Option<&Path>) -> Result<PathBuf, String> {
    // target/release/camofleet · bin/camofleet with lib/camofleet/driver · a directory with both
    let relative = ["../../actors/driver", "../lib/camofleet/driver", "driver"];
    let found = beside_program(SCRIPT, relative, named, executable)
        .map_err(|places| format!("no {SCRIPT} in {places}; name its directory with RUNNER_DRIVER_DIR"))?;
    if !found.join("node_modules/playwright-core").is_dir() {
        return Err(format!(
            "{} has no playwright-core; run 'npm ci' in it, or 'make setup'",
            found.display()
        ));
    }
    Ok(found)
}

/// Finds the directory of the identity maker: the one of the setting, in the checkout that the binary was built in, or beside
/// its installation.
///
/// # Errors
/// One line with the places that were searched.
pub fn identity_directory(named: Option<&Path>, executable: Option<&Path>) -> Result<PathBuf, String> {
    beside_program(
        MAKER,
        ["../../actors/identity", "../lib/camofleet/identity", "identity"],
        named,
        executable,
    )
    .map_err(|places| format!("no {MAKER} in {places}; name its directory with RUNNER_IDENTITY_DIR"))
}

/// Finds the Python with Camoufox' own library: the one of the setting, or that of the virtual environment in the identity
/// maker's directory.
///
/// # Errors
/// One line with the remedy.
pub fn identity_python(named: Option<&Path>, directory: &Path) -> Result<PathBuf, String> {
    let python = named.map_or_else(|| directory.join(".venv/bin/python"), Path::to_path_buf);
    // A virtual environment is found by the path that its Python is started with, so a link is not followed.
    if python.is_file() {
        return Ok(python);
    }
    let remedy = "run 'camofleet setup camoufox', or name it with RUNNER_IDENTITY_PYTHON";
    Err(format!("{} does not exist, the Python with Camoufox' own library: {remedy}", python.display()))
}

/// The version of Playwright in a driver's directory.
///
/// # Errors
/// One line with the remedy.
pub fn playwright_version(driver: &Path) -> Result<Playwright, String> {
    let file = driver.join("node_modules/playwright-core/package.json");
    let broken = |problem: &dyn std::fmt::Display| {
        format!("{}: {problem}; run 'npm ci' in {}", file.display(), driver.display())
    };
    let text = std::fs::read_to_string(&file).map_err(|error| broken(&error))?;
    let package: serde_json::Value = serde_json::from_str(&text).map_err(|error| broken(&error))?;
    let version = package.get("version").and_then(serde_json::Value::as_str).unwrap_or_default();
    Playwright::parse(version).ok_or_else(|| broken(&format!("{version:?} is no version")))
}

/// Finds a directory with this file: the named one, or one of those relative to the program's.
///
/// # Errors
/// The places that were searched.
fn beside_program(
    file: &str,
    relative: [&str; 3],
    named: Option<&Path>,
    executable: Option<&Path>,
) -> Result<PathBuf, String> {
    let home = executable.and_then(Path::parent);
    let candidates: Vec<PathBuf> = match named {
        Some(named) => vec![named.to_owned()],
        None => relative.into_iter().filter_map(|path| home.map(|home| home.join(path))).collect(),
    };
    let found = candidates.iter().find(|candidate| candidate.join(file).is_file());
    let canonical = found.and_then(|found| found.canonicalize().ok());
    canonical.ok_or_else(|| {
        let places: Vec<_> = candidates.iter().map(|candidate| candidate.display().to_string()).collect();
        places.join(", nor in ")
    })
}

/// The host name of this machine.
pub fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "worker".to_owned() } else { name.trim().to_owned() }
}

/// The Kubernetes cluster of this pod, by the variables and files that every pod has
/// (<https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/>).
///
/// # Errors
/// This process is not in a pod, or the pod has no service account; the text names the remedy.
pub fn cluster(setting: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Cluster, String> {
    let account = Path::new("/var/run/secrets/kubernetes.io/serviceaccount");
    let (host, port) = (environment("KUBERNETES_SERVICE_HOST"), environment("KUBERNETES_SERVICE_PORT"));
    let (Some(host), Some(port)) = (host, port) else {
        return Err(format!("{setting} needs a pod of Kubernetes, and this process runs in none"));
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let api = Url::parse(&format!("https://{host}:{port}")).map_err(|error| {
        format!("KUBERNETES_SERVICE_HOST and _PORT are not the address of an API: {error}")
    })?;
    let namespace = std::fs::read_to_string(account.join("namespace")).map_err(|error| {
        format!(
            "{setting} needs a service account: {}: {error}; set automountServiceAccountToken",
            account.display()
        )
    })?;
    Ok(Cluster {
        api,
        authority: Some(account.join("ca.crt")),
        token: Some(account.join("token")),
        namespace: namespace.trim().to_owned(),
    })
}

/// Where run directories are made by default: one place for each user.
pub fn default_run_base() -> PathBuf {
    std::env::temp_dir().join(format!("camofleet-{}", nix::unistd::geteuid()))
}

/// Where profiles are kept by default: in the user's data directory (XDG Base Directory Specification), else in that of the
/// system.
pub fn default_profiles_directory() -> PathBuf {
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    named("XDG_DATA_HOME")
        .or_else(|| named("HOME").map(|home| home.join(".local/share")))
        .unwrap_or_else(|| PathBuf::from("/var/lib"))
        .join("camofleet/profiles")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)], more: &[&str]) -> Vec<(String, String)> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let more: Vec<_> = more.iter().map(|name| (*name).to_owned()).collect();
        child_environment(variables, &more, Path::new("/run/x"))
    }

    fn names(environment: Vec<(String, String)>) -> Vec<String> {
        environment.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn children_inherit_what_they_need_and_nothing_that_happens_to_be_there() {
        let needed = [
            "PATH",
            "LANG",
            "LC_ALL",
            "LC_TIME",
            "TZ",
            "XDG_DATA_DIRS",
            "FONTCONFIG_FILE",
            "SSL_CERT_FILE",
            "NODE_EXTRA_CA_CERTS",
        ];
        let others = [
            "https_proxy",
            "NO_PROXY",
            "CONTROL_API_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "PWDEBUG",
            "DEBUG",
            "PLAYWRIGHT_BROWSERS_PATH",
            "NODE_OPTIONS",
            "NODE_PATH",
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "MOZ_HEADLESS",
            "MOZ_LOG",
            "CAMOU_CONFIG_1",
            "CAMOU_PREFS_1",
            "DISPLAY",
            "WAYLAND_DISPLAY",
            "XDG_RUNTIME_DIR",
            "XDG_CACHE_HOME",
            "DBUS_SESSION_BUS_ADDRESS",
            "GTK_THEME",
            "LC",
            "PATHS",
        ];
        let given: Vec<_> = needed.into_iter().chain(others).map(|name| (name, "x")).collect();
        assert_eq!(names(environment(&given, &[])), [&needed[..], &["HOME", "TMPDIR"]].concat());
    }

    #[test]
    fn a_setting_passes_more_of_it_on_but_no_secret_of_camofleet_and_not_what_it_sets_itself() {
        let given = [
            ("MOZ_LOG", "all:5"),
            ("MESA_DEBUG", "1"),
            ("MESA", "1"),
            ("CONTROL_API_TOKEN", "s3cret"),
            ("HOME", "/home/me"),
            ("DISPLAY", ":0"),
            ("CAMOU_CONFIG_1", "{}"),
        ];
        let passed = environment(&given, &["MOZ_LOG", "MESA_*"]);
        assert_eq!(names(passed), ["MOZ_LOG", "MESA_DEBUG", "HOME", "TMPDIR"]);
        let all = environment(&given, &["*"]);
        assert_eq!(names(all.clone()), ["MOZ_LOG", "MESA_DEBUG", "MESA", "HOME", "TMPDIR"]);
        assert_eq!(all[3].1, "/run/x");
    }

    #[test]
    fn the_users_fonts_are_found_where_they_are() {
        let home = tempfile::tempdir().unwrap();
        let data = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".fonts")).unwrap();
        std::fs::create_dir(data.path().join("fonts")).unwrap();
        let variable = |name: &str| match name {
            "HOME" => Some(home.path().to_owned()),
            "XDG_DATA_HOME" => Some(data.path().to_owned()),
            _ => None,
        };
        let found =
            [(".fonts", home.path().join(".fonts")), (".local/share/fonts", data.path().join("fonts"))];
        assert_eq!(user_fonts(variable), found.map(|(link, target)| (PathBuf::from(link), target)));
        assert_eq!(user_fonts(|_| None), []);
    }

    #[test]
    fn the_driver_is_found_beside_a_checkout_and_beside_an_installation() {
        for (binary, driver) in [
            ("target/release/camofleet", "actors/driver"),
            ("bin/camofleet", "lib/camofleet/driver"),
            ("camofleet", "driver"),
        ] {
            let root = tempfile::tempdir().unwrap();
            let driver = root.path().join(driver);
            let binary = root.path().join(binary);
            std::fs::create_dir_all(binary.parent().unwrap()).unwrap();
            std::fs::create_dir_all(driver.join("node_modules/playwright-core")).unwrap();
            std::fs::write(driver.join(SCRIPT), "").unwrap();
            assert_eq!(driver_directory(None, Some(&binary)).unwrap(), driver.canonicalize().unwrap());
        }
    }

    #[test]
    fn a_driver_without_its_packages_is_told_with_the_remedy() {
        let root = tempfile::tempdir().unwrap();
        assert!(driver_directory(Some(root.path()), None).unwrap_err().contains("RUNNER_DRIVER_DIR"));
        std::fs::write(root.path().join(SCRIPT), "").unwrap();
        assert!(driver_directory(Some(root.path()), None).unwrap_err().contains("npm ci"));
    }

    #[test]
    fn the_identity_maker_is_found_with_its_python_or_its_lack_is_told_with_the_remedy() {
        let root = tempfile::tempdir().unwrap();
        let (binary, maker) = (root.path().join("bin/camofleet"), root.path().join("lib/camofleet/identity"));
        std::fs::create_dir_all(binary.parent().unwrap()).unwrap();
        assert!(identity_directory(None, Some(&binary)).unwrap_err().contains("RUNNER_IDENTITY_DIR"));
        std::fs::create_dir_all(maker.join(".venv/bin")).unwrap();
        std::fs::write(maker.join(MAKER), "").unwrap();
        assert_eq!(identity_directory(None, Some(&binary)).unwrap(), maker.canonicalize().unwrap());
        assert!(identity_python(None, &maker).unwrap_err().contains("camofleet setup camoufox"));
        // As a virtual environment has it.
        std::os::unix::fs::symlink("/bin/sh", maker.join(".venv/bin/python")).unwrap();
        assert_eq!(identity_python(None, &maker).unwrap(), maker.join(".venv/bin/python"));
        assert!(
            identity_python(Some(Path::new("/nowhere/python")), &maker).unwrap_err().starts_with("/nowhere")
        );
    }

    #[test]
    fn the_version_of_playwright_is_that_of_the_drivers_package() {
        let root = tempfile::tempdir().unwrap();
        let package = root.path().join("node_modules/playwright-core");
        std::fs::create_dir_all(&package).unwrap();
        assert!(playwright_version(root.path()).unwrap_err().contains("npm ci"));
        std::fs::write(package.join("package.json"), r#"{"version": "1.62.1"}"#).unwrap();
        assert_eq!(playwright_version(root.path()).unwrap().to_string(), "1.62.1");
        std::fs::write(package.join("package.json"), r#"{"version": 7}"#).unwrap();
        assert!(playwright_version(root.path()).unwrap_err().contains("npm ci"));
    }

    #[test]
    fn the_proxy_of_the_environment_is_that_of_other_programs() {
        let environment = |variables: &[(&str, &str)]| {
            let variables: Vec<(String, String)> =
                variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            environment_proxy(move |name| {
                variables.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone())
            })
        };
        assert_eq!(environment(&[]), Ok(ProxyChoice::Direct));
        assert_eq!(environment(&[("https_proxy", " ")]), Ok(ProxyChoice::Direct));
        let variables = [
            ("HTTPS_PROXY", "http://me:s3cret@proxy.example:3128"),
            ("http_proxy", "http://other"),
            ("no_proxy", "localhost,.corp,??,10.0.0.0/8"),
        ];
        let Ok(ProxyChoice::Server { server, bypass }) = environment(&variables) else { panic!("no proxy") };
        assert_eq!((server.to_string().as_str(), bypass.len()), ("http://proxy.example:3128", 3));
        assert!(server.credentials.is_some());
        let error = environment(&[("ALL_PROXY", "socks4://me:s3cret@a")]).unwrap_err();
        assert!(
            error.starts_with("all_proxy of the environment must be") && !error.contains("s3cret"),
            "{error}"
        );
    }
}
