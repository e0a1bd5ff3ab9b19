"""Every setting that is passed to a container exists in the binary, and its value is valid."""
import re

import pytest
import yaml
from chart import DEPLOY, REPOSITORY, containers, environment
from conftest import OUR_SETTINGS, camofleet, settings_in_force

# Variables of the panel's nginx, which does not run camofleet.
PANEL = set(re.findall(r"\$\{([A-Z_]+)\}", (DEPLOY / "nginx/panel.conf.template").read_text()))
# Read by the Rust libraries underneath.
LIBRARIES = {"RUST_LOG"}
COMPOSE = sorted(REPOSITORY.glob("compose*.yaml"))


def check(where, variables):
    """Checks that each of these is a setting, and that the binary accepts them together."""
    # Variables that are only inserted into others by Kubernetes.
    parts = set(re.findall(r"\$\((\w+)\)", " ".join(variables.values())))
    variables = {name: value for name, value in variables.items() if name not in parts - settings_in_force().keys()}
    unknown = variables.keys() - settings_in_force().keys() - LIBRARIES
    assert not unknown, f"{where} passes unknown settings: {', '.join(sorted(unknown))}"
    in_force = settings_in_force(**variables)
    for name, value in variables.items():
        if name not in LIBRARIES and in_force[name] != "********":
            # Printed on one line.
            value = re.sub(r'("token": ?)"[^"]*"', r'\1"********"', value)
            assert in_force[name] == value.replace("\n", "\\n"), f"{where}: {name}"


def test_chart_passes_settings(objects):
    roles = set()
    for component, name, container in containers(objects):
        variables = environment(objects, container)
        if component == "ui":
            assert variables.keys() <= PANEL, variables.keys()
        else:
            check(f"{component}/{name}", variables)
            roles.add(name)
    assert roles >= {"control", "worker", "runner"}


def test_kustomization_passes_settings():
    paths = [path for path in (DEPLOY / "k8s").glob("*.yaml") if path.name not in ("kustomization.yaml", "values.yaml")]
    objects = [item for path in paths for item in yaml.safe_load_all(path.read_text())]
    checked = 0
    for component, name, container in containers(objects):
        if component != "ui":
            check(f"{component}/{name}", environment(objects, container))
            checked += 1
    assert checked == 6


def test_no_setting_begins_with_the_project_s_name():
    assert not [name for name in settings_in_force() if name.startswith("CAMOFLEET_")]


def test_the_check_fails_for_an_unknown_setting():
    with pytest.raises(AssertionError, match="RUNNER_MAX_SESSION"):
        check("a container", {"RUNNER_MAX_SESSION": "3"})


def test_the_check_fails_for_an_invalid_value():
    with pytest.raises(AssertionError, match="RUNNER_MAX_SESSIONS"):
        check("a container", {"RUNNER_MAX_SESSIONS": "many"})


def interpolate(text):
    """A value as compose interpolates it with an empty environment; None if it is then empty."""
    filled, before = str(text), None
    # From the inside out, because a default may contain another variable.
    while filled != before:
        filled, before = re.sub(r"\$\{\w+:?-([^${}]*)\}", r"\1", filled), filled
    filled = re.sub(r"\$\{\w+[^}]*\}|\$\w+", "", filled).replace("$$", "$")
    return filled or None


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_compose_files_pass_settings(path):
    checked = 0
    for name, service in yaml.safe_load(path.read_text())["services"].items():
        variables = service.get("environment") or {}
        if isinstance(variables, list):
            variables = dict(variable.split("=", 1) for variable in variables if "=" in variable)
        variables = {name: str(value).lower() if isinstance(value, bool) else value for name, value in variables.items()}
        # No setting begins with CAMOFLEET_, which is used by builds and the panel's development server.
        ours = {name: value for name, value in variables.items() if OUR_SETTINGS.match(name) and name not in PANEL}
        ours = {name: value for name, value in ours.items() if not name.startswith("CAMOFLEET_")}
        given = {name: interpolate(value) for name, value in ours.items() if value is not None}
        check(f"{path.name}: {name}", {name: value for name, value in given.items() if value})
        unknown = ours.keys() - settings_in_force().keys() - LIBRARIES
        assert not unknown, f"{path.name}: {name} passes unknown settings: {', '.join(sorted(unknown))}"
        checked += len(ours)
    assert checked > 0


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
@pytest.mark.parametrize(("bind", "address"), [(None, "127.0.0.1"), ("0.0.0.0", "0.0.0.0"), ("192.0.2.7", "192.0.2.7")])
def test_compose_files_publish_on_loopback_by_default(path, bind, address):
    text = path.read_text()
    if bind:
        text = re.sub(r"\$\{CAMOFLEET_BIND:-[^}]*\}", bind, text)
    ports = [port for service in yaml.safe_load(text)["services"].values() for port in service.get("ports", [])]
    assert ports
    for port in ports:
        published = interpolate(port)
        assert re.fullmatch(rf"{re.escape(address)}:\d+:\d+", published), published


def test_binary_prints_all_settings():
    documented = set(re.findall(r"^#?([A-Z]\w*)=", (REPOSITORY / ".env.example").read_text(), re.MULTILINE))
    assert documented == settings_in_force().keys()
    assert camofleet("--version").stdout.startswith("camofleet ")
