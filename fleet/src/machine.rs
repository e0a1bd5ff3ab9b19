//! What this machine has: a driver, Node, an environment for children, a place for run directories.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use camofleet_actors::driver::SCRIPT;
use camofleet_actors::net::kubernetes::Cluster;
use url::Url;

/// What children inherit, by name; `*` at the end stands for any rest. Everything else stays with camofleet: a variable that
/// one of a dozen libraries in a driver, a browser or an X server happens to read changes what every session is.
const INHERITED: [&str; 31] = [
    "PATH",
    // Languages, texts and times.
    "LANG",
    "LANGUAGE",
    "LC_*",
    "LOCPATH",
    "LOCALE_ARCHIVE",
    "TZ",
    "TZDIR",
    // Who the user is.
    "USER",
    "LOGNAME",
    // Where the system keeps what programs share. The user's own directories, XDG_CACHE_HOME and the like, are each
    // browser's own, below its HOME.
    "XDG_DATA_DIRS",
    "XDG_CONFIG_DIRS",
    "FONTCONFIG_FILE",
    "FONTCONFIG_PATH",
    "FONTCONFIG_SYSROOT",
    // Whom TLS trusts: the browser's certificates are its own, Node's are the machine's.
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    // How the machine gets out: Firefox takes the system's proxy where nothing else is set, and Node the same.
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "ftp_proxy",
    "no_proxy",
    // What software draws with where there is no GPU, and which GPU where there is one.
    "LIBGL_ALWAYS_SOFTWARE",
    "DRI_PRIME",
    "__EGL_VENDOR_LIBRARY_FILENAMES",
];

/// What `RUNNER_PASS_ENVIRONMENT` can't add: camofleet's own settings, a token among them, and what it sets itself.
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

/// The environment that drivers, browsers and X servers start from: what they need of this process' own `variables`, and
/// those that `more` names besides. Their `HOME` is the run directory, and a browser's is its launch's: nobody else's
/// settings are read there, and nothing has to be writable but what camofleet made.
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

/// The fonts of the user that camofleet runs as, which browsers find in their own `HOME` too: where they are there, and
/// where they really are.
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

/// Makes Firefox do without user namespaces: what it finds out by itself it keeps in this variable, and doesn't find out
/// again where that is set (`CanCreateUserNamespace` in its `security/sandbox/linux/SandboxInfo.cpp`).
const NO_USER_NAMESPACES: (&str, &str) = ("MOZ_ASSUME_USER_NS", "0");

/// What browsers need in their environment to survive their own sandbox here.
///
/// Firefox shuts its processes in by chroot(2), in a user namespace of its own. The system call filters of Podman and
/// CRI-O allow the namespace, but the call only to containers with `CAP_SYS_CHROOT`, and Firefox crashes of that.
pub fn sandbox_environment() -> Option<(String, String)> {
    let tried = Command::new("unshare")
        .args(["--user", "--map-root-user", "--root=/", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match tried {
        Ok(status) if !status.success() => {
            log::info!(
                "browsers are shut in without user namespaces, which can't be entered and rooted here"
            );
            let (name, value) = NO_USER_NAMESPACES;
            Some((name.to_owned(), value.to_owned()))
        }
        // Where it can't be tried, Firefox finds out by itself.
        _ => None,
    }
}

/// Finds the driver: where the settings say, beside the checkout that the binary was built in, or beside its
/// installation.
///
/// # Errors
/// One line that says where it was looked for, or what its directory lacks.
pub fn driver_directory(named: Option<&Path>, executable: Option<&Path>) -> Result<PathBuf, String> {
    let home = executable.and_then(Path::parent);
    let beside = |path: &str| home.map(|home| home.join(path));
    let candidates: Vec<PathBuf> = match named {
        Some(named) => vec![named.to_owned()],
        // target/release/camofleet · bin/camofleet with lib/camofleet/driver · a directory with both
        None => ["../../actors/driver", "../lib/camofleet/driver", "driver"]
            .into_iter()
            .filter_map(beside)
            .collect(),
    };
    let Some(found) = candidates.iter().find(|candidate| candidate.join(SCRIPT).is_file()) else {
        let places: Vec<_> = candidates.iter().map(|candidate| candidate.display().to_string()).collect();
        return Err(format!(
            "no {SCRIPT} in {}; name its directory with RUNNER_DRIVER_DIR",
            places.join(", nor in ")
        ));
    };
    if !found.join("node_modules/playwright-core").is_dir() {
        return Err(format!(
            "{} has no playwright-core; run 'npm ci' in it, or 'make setup'",
            found.display()
        ));
    }
    found.canonicalize().map_err(|error| format!("{}: {error}", found.display()))
}

/// What this machine calls itself.
pub fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "worker".to_owned() } else { name.trim().to_owned() }
}

/// The Kubernetes cluster that this process is a pod of, by the variables and files that every pod has
/// (<https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/>).
///
/// # Errors
/// It is none, or has no service account; the text names the remedy.
pub fn cluster(setting: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Cluster, String> {
    let account = Path::new("/var/run/secrets/kubernetes.io/serviceaccount");
    let (host, port) = (environment("KUBERNETES_SERVICE_HOST"), environment("KUBERNETES_SERVICE_PORT"));
    let (Some(host), Some(port)) = (host, port) else {
        return Err(format!("{setting} is for pods of Kubernetes, and this is none"));
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let api = Url::parse(&format!("https://{host}:{port}"))
        .map_err(|error| format!("KUBERNETES_SERVICE_HOST and _PORT name no API: {error}"))?;
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

/// Where run directories go unless the settings say: one place for each user.
pub fn default_run_base() -> PathBuf {
    std::env::temp_dir().join(format!("camofleet-{}", nix::unistd::geteuid()))
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
            "https_proxy",
            "NO_PROXY",
        ];
        let others = [
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
}
