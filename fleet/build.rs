//! Tells the binary which commit it is built from: `CAMOFLEET_COMMIT` says, or the checkout does.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=CAMOFLEET_COMMIT");
    // The log of HEAD has a line for each commit and checkout.
    println!("cargo::rerun-if-changed=../.git/logs/HEAD");
    println!("cargo::rerun-if-changed=build.rs");
    let told = std::env::var("CAMOFLEET_COMMIT").ok().filter(|commit| !commit.trim().is_empty());
    let commit = told.or_else(of_checkout).unwrap_or_else(|| "unknown commit".to_owned());
    println!("cargo::rustc-env=CAMOFLEET_COMMIT={}", commit.trim());
}

fn of_checkout() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
