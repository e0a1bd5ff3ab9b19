"""The original chart's values are converted to this chart's, and NOTES.txt lists them."""
import helm_python as helm
import pytest
from chart import CHART, containers, environment, find, render, render_text

OUTSIDE = [{"name": "outside", "url": "http://192.0.2.7:8080", "supports_vnc": False}]
IMAGE = {"repository": "mirror/runner", "tag": "7", "pullPolicy": "Always"}
RESOURCES = {"requests": {"cpu": "2", "memory": "3Gi"}, "limits": {"memory": "4Gi"}}
ENVIRONMENT = [{"name": "RUNNER_START_URL_WAIT", "value": "none"}]

# The given values, the same under this chart's names, and how many names NOTES.txt lists.
ALIASES = {
    "global.imageRegistry": ({"global": {"imageRegistry": "r.example/team"}}, {"image": {"registry": "r.example/team"}}),
    "global.imagePullSecrets": (
        {"global": {"imagePullSecrets": ["one", {"name": "two"}]}}, {"image": {"pullSecrets": [{"name": "one"}, {"name": "two"}]}}
    ),
    "control.config.workers": ({"control": {"config": {"workers": OUTSIDE}}}, {"control": {"workers": OUTSIDE}}),
    "workerVnc.gatewayImage": ({"workerVnc": {"gatewayImage": IMAGE}}, {"workerVnc": {"gateway": {"image": IMAGE}}}),
    "workerVnc.gatewayPort": ({"workerVnc": {"gatewayPort": 7000}}, {"workerVnc": {"gateway": {"port": 7000}}}),
    "workerVnc.vncPortRange": (
        {"workerVnc": {"vncPortRange": {"ws": {"min": 7100, "max": 7102}, "raw": {"min": 6000, "max": 6009}}}},
        {"workerVnc": {"vnc": {"firstId": 7100, "firstPort": 6000, "slots": 3}}},
    ),
}  # fmt: skip
for _component in ("ui", "control", "worker", "workerVnc"):
    ALIASES[f"{_component}.replicas"] = ({_component: {"replicas": 3}}, {_component: {"replicaCount": 3}})
    ALIASES[f"{_component}.replicas of none"] = ({_component: {"replicas": 0}}, {_component: {"replicaCount": 0}})
for _component in ("worker", "workerVnc"):
    for _name, _value, _own in (
        ("runnerImage", IMAGE, "image"),
        ("runnerResources", RESOURCES, "resources"),
        ("runnerExtraEnv", ENVIRONMENT, "extraEnv"),
    ):
        ALIASES[f"{_component}.{_name}"] = ({_component: {_name: _value}}, {_component: {"runner": {_own: _value}}})
    for _name, _value, _setting, _text in (
        ("disableHttp3", False, "RUNNER_DISABLE_HTTP3", "false"),
        ("disableIpv6", False, "RUNNER_DISABLE_IPV6", "false"),
        ("disableWebrtc", True, "RUNNER_DISABLE_WEBRTC", "true"),
        ("networkDiagnostics", ["https://a.example/"], "RUNNER_NETWORK_DIAGNOSTICS", '["https://a.example/"]'),
        ("networkDiagnostics of one text", "https://a.example/", "RUNNER_NETWORK_DIAGNOSTICS", "https://a.example/"),
        ("diagnosticsTimeoutSeconds", 12, "RUNNER_DIAGNOSTICS_TIMEOUT_SECONDS", "12"),
    ):
        ALIASES[f"{_component}.{_name}"] = (
            {_component: {_name.split()[0]: _value}}, {_component: {"runner": {"extraEnv": [{"name": _setting, "value": _text}]}}}
        )  # fmt: skip
    for _name, _value, _setting, _text, _where in (
        ("headless", True, "WORKER_SESSION_DEFAULTS__HEADLESS", "true", "worker"),
        ("idleTtlSeconds", 600, "WORKER_SESSION_DEFAULTS__IDLE_TTL_SECONDS", "600", "worker"),
        ("idle_ttl_seconds", 600, "WORKER_SESSION_DEFAULTS__IDLE_TTL_SECONDS", "600", "worker"),
        ("startUrl", "https://a.example/", "RUNNER_SESSION_DEFAULTS__START_URL", "https://a.example/", "runner"),
        ("start_url", "https://a.example/", "RUNNER_SESSION_DEFAULTS__START_URL", "https://a.example/", "runner"),
        ("startUrlWait", "none", "RUNNER_START_URL_WAIT", "none", "runner"),
        ("start_url_wait", "none", "RUNNER_START_URL_WAIT", "none", "runner"),
    ):
        _variables = {"extraEnv": [{"name": _setting, "value": _text}]}
        ALIASES[f"{_component}.sessionDefaults.{_name}"] = (
            {_component: {"sessionDefaults": {_name: _value}}}, {_component: _variables if _where == "worker" else {"runner": _variables}}
        )  # fmt: skip

# Values with the same names in both charts.
SHARED = {
    "control.publicApiPrefix": {"control": {"publicApiPrefix": "/fleet"}},
    "control.publicApiPrefix, empty": {"control": {"publicApiPrefix": ""}},
    "workerVnc.controlOverrides": {"workerVnc": {"controlOverrides": {"ws": "wss://a.example/{id}", "http": "https://a.example/{id}"}}},
    **{f"{name}.service": {name: {"service": {"type": "NodePort", "port": 8100}}} for name in ("ui", "control", "worker", "workerVnc")},
    **{f"{name}.podAnnotations": {name: {"podAnnotations": {"a.example/b": "c"}}} for name in ("ui", "control", "worker", "workerVnc")},
    **{f"{name}.resources": {name: {"resources": RESOURCES}} for name in ("ui", "control", "worker", "workerVnc")},
    **{f"{name}.extraEnv": {name: {"extraEnv": [{"name": "RUST_LOG", "value": "debug"}]}} for name in ("ui", "control", "worker", "workerVnc")},
    **{f"{name}.image": {name: {"image": IMAGE}} for name in ("ui", "control", "worker", "workerVnc")},
}


def notes(values):
    """The sentences of NOTES.txt about the original's names."""
    text = render_text(values)["NOTES.txt"]
    _, _, said = text.partition("Values under the names of the original chart")
    return [line.strip() for line in said.splitlines()[1:] if line.strip()]


@pytest.mark.parametrize("name", ALIASES)
def test_alias(name):
    given, own = ALIASES[name]
    assert render(given) == render(own) != render({})
    assert [line.split()[0] for line in notes(given)] == [name.split()[0]], "one line for the name that was read"
    assert notes(own) == []


@pytest.mark.parametrize("name", SHARED)
def test_shared_name(name):
    given = SHARED[name]
    changed = render(given) != render({})
    assert changed is ("empty" not in name) and notes(given) == []


def test_all_aliases_together_each_with_its_line():
    given = {}
    for alias, _ in ALIASES.values():
        given = merged(given, alias)
    del given["control"]["config"], given["control"]["replicas"]
    lines = notes(given | {"discovery": {"mode": "dns"}})
    assert len(lines) == len(set(lines)) > 30, lines


def merged(left, right):
    both = dict(left)
    for name, value in right.items():
        both[name] = merged(both[name], value) if isinstance(value, dict) and isinstance(both.get(name), dict) else value
    return both


def test_with_the_original_s_list_of_workers_control_gets_only_these():
    objects = render({"control": {"config": {"workers": OUTSIDE}}})
    control = next(environment(objects, found) for _, name, found in containers(objects) if name == "control")
    assert control["CONTROL_WORKERS"] == '[{"name":"outside","supports_vnc":false,"url":"http://192.0.2.7:8080"}]'
    assert "CONTROL_DISCOVERY" not in control


def test_environment_variables_of_both_names_are_merged_in_order():
    own = {"runner": {"extraEnv": [{"name": "RUNNER_MAX_RESTARTS", "value": "1"}]}}
    objects = render({"worker": own | {"runnerExtraEnv": ENVIRONMENT, "disableWebrtc": False}})
    runner = next(found for component, name, found in containers(objects) if (component, name) == ("worker", "runner"))
    names = [variable["name"] for variable in runner["env"]][-3:]
    assert names == ["RUNNER_MAX_RESTARTS", "RUNNER_START_URL_WAIT", "RUNNER_DISABLE_WEBRTC"]


def test_services_and_references_to_them_follow_the_ports():
    ports = {"ui": 8081, "control": 9001, "worker": 8082, "workerVnc": 8083}
    values = {name: {"service": {"port": port}} for name, port in ports.items()}
    objects = render(merged(values, {"discovery": {"mode": "static"}, "ingress": {"enabled": True}, "workerVnc": {"gatewayPort": 7000}}))
    found = {name: find(objects, "Service", name)["spec"]["ports"][0]["port"] for name in ("ui", "control", "worker", "worker-vnc")}
    assert found == {"ui": 8081, "control": 9001, "worker": 8082, "worker-vnc": 8083}
    workers = find(objects, "ConfigMap", "control")["data"]["CONTROL_WORKERS"]
    assert "worker:8082" in workers and "worker-vnc:8083" in workers and "worker-vnc:7000" in workers
    panel = next(environment(objects, found) for _, name, found in containers(objects) if name == "ui")
    assert panel["CONTROL_URL"].endswith(":9001") and panel["GATEWAY_URL"].endswith(":7000")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"worker": {"replica": 3}}, "replica"),
        ({"worker": {"runnerImag": IMAGE}}, "runnerImag"),
        ({"control": {"config": {"worker": []}}}, "worker"),
        ({"workerVnc": {"vncPortRange": {"tcp": {"min": 1, "max": 2}}}}, "tcp"),
        ({"workerVnc": {"vncPortRange": {"ws": {"min": 7000, "max": 6000}}}}, "max is less than its min"),
        ({"workerVnc": {"vncPortRange": {"raw": {"min": 6890, "max": 6910}}}}, "6900 is taken"),
        ({"workerVnc": {"gatewayPort": 8080}}, "another container of the pod uses"),
        ({"worker": {"sessionDefaults": {"ttl": 3}}}, "ttl"),
        ({"worker": {"image": {"name": "a"}}}, "name"),
    ],
)
def test_unknown_or_impossible(values, reason):
    with pytest.raises(helm.HelmError) as refusal:
        render(values)
    assert reason in str(refusal.value)


def test_every_template_converts_them_first():
    for path in (CHART / "templates").rglob("*"):
        if path.suffix in (".yaml", ".txt"):
            assert path.read_text().startswith('{{- include "camo-fleet.originals" . }}\n'), path.name
