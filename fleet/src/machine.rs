//! What this machine has: a driver, Node, an environment for children, a place for run directories.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use camofleet_actors::driver::SCRIPT;
use camofleet_actors::pod_costs::Cluster;
use url::Url;

/// Variables that children must not inherit, by prefix: camofleet's own settings (a token among them), a Camoufox
/// configuration that would override each session's own, and everything that ties a program to the desktop that
/// camofleet was started from.
const WITHHELD: [&str; 12] = [
    "RUNNER_",
    "WORKER_",
    "CONTROL_",
    "VNC_",
    "CAMOFLEET_",
    "CAMOU_CONFIG",
    "DISPLAY",
    "WAYLAND_",
    "XAUTHORITY",
    "DBUS_SESSION",
    "XDG_SESSION",
    "MOZ_",
];

/// The environment that drivers, browsers and X servers start from. `run_dir` serves as home where the user's own
/// belongs to somebody else: Firefox refuses to run in such a home.
pub fn child_environment(
    variables: impl Iterator<Item = (String, String)>,
    run_dir: &Path,
) -> Vec<(String, String)> {
    let replaced = ["HOME", "TMPDIR"];
    let mut home = None;
    let mut kept: Vec<(String, String)> = Vec::new();
    for (name, value) in variables {
        if name == "HOME" {
            home = Some(value);
        } else if !replaced.contains(&name.as_str())
            && !WITHHELD.iter().any(|prefix| name.starts_with(prefix))
        {
            kept.push((name, value));
        }
    }
    let run_dir = run_dir.display().to_string();
    let home = home.filter(|home| is_mine(Path::new(home))).unwrap_or_else(|| run_dir.clone());
    kept.extend([("HOME".to_owned(), home), ("TMPDIR".to_owned(), run_dir)]);
    kept
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

fn is_mine(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.uid() == nix::unistd::geteuid().as_raw())
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
pub fn cluster(environment: &dyn Fn(&str) -> Option<String>) -> Result<Cluster, String> {
    let account = Path::new("/var/run/secrets/kubernetes.io/serviceaccount");
    let (host, port) = (environment("KUBERNETES_SERVICE_HOST"), environment("KUBERNETES_SERVICE_PORT"));
    let (Some(host), Some(port)) = (host, port) else {
        return Err(
            "CONTROL_POD_DELETION_COST is for pods of Kubernetes, and this is none; set it to 0".to_owned()
        );
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let api = Url::parse(&format!("https://{host}:{port}"))
        .map_err(|error| format!("KUBERNETES_SERVICE_HOST and _PORT name no API: {error}"))?;
    let namespace = std::fs::read_to_string(account.join("namespace")).map_err(|error| {
        format!(
            "CONTROL_POD_DELETION_COST needs a service account: {}: {error}; set automountServiceAccountToken",
            account.display()
        )
    })?;
    Ok(Cluster {
        api,
        authority: Some(account.join("ca.crt")),
        token: account.join("token"),
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

    fn environment(variables: &[(&str, &str)]) -> Vec<(String, String)> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        child_environment(variables, Path::new("/run/x"))
    }

    #[test]
    fn children_get_neither_secrets_nor_the_desktop_nor_an_inherited_camoufox_configuration() {
        let given = [
            ("CONTROL_API_TOKEN", "s3cret"),
            ("CAMOU_CONFIG_1", "{}"),
            ("DISPLAY", ":0"),
            ("MOZ_HEADLESS", "1"),
            ("LANG", "C.UTF-8"),
        ];
        let names: Vec<_> = environment(&given).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["LANG", "HOME", "TMPDIR"]);
    }

    #[test]
    fn a_home_of_somebody_else_is_replaced() {
        let home = |home: &str| environment(&[("HOME", home)])[0].1.clone();
        let mine = tempfile::tempdir().unwrap();
        assert_eq!(home(&mine.path().display().to_string()), mine.path().display().to_string());
        assert_eq!(home("/nowhere"), "/run/x");
        assert_eq!(environment(&[])[0].1, "/run/x");
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
