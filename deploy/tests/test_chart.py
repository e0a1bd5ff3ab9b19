"""The chart's names, ports, security settings and internal references."""
import re
from pathlib import Path

import helm_python as helm
import pytest
import yaml
from chart import CHART, NAME, REPOSITORY, containers, environment, find, pod_specs, render
from conftest import VALUES, camofleet

LIVE_VIEWS = {"ws": "wss://camofleet.example.com/websockify?token={id}", "http": "https://camofleet.example.com/vnc/{id}"}


def settings(objects, component, name):
    """The environment of one container."""
    return next(environment(objects, found) for whose, called, found in containers(objects) if (whose, called) == (component, name))


def control_json(values, setting):
    return yaml.safe_load(find(render(values), "ConfigMap", "control")["data"][setting])


def test_helm_lint_reports_nothing(values):
    report = helm.lint(CHART, values, strict=True)
    # Severity 1 is informational: a chart without an icon.
    complaints = [message for message in report["messages"] if message["severity"] > 1]
    assert report["errors"] == [] and complaints == []


def test_version_is_that_of_the_binary():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = re.search(r'^version = "(.+)"$', (REPOSITORY / "Cargo.toml").read_text(), re.MULTILINE)[1]
    assert (chart["version"], chart["appVersion"]) == (version, version)


def test_every_value_has_a_comment_and_is_in_the_schema():
    lines = (CHART / "values.yaml").read_text().splitlines()
    unexplained = []
    for number, line in enumerate(lines):
        if not re.match(r" *[A-Za-z]\w*:", line) or line.rstrip().endswith(":"):
            continue
        # The comment is above it, or above the group of values that it belongs to.
        above = number - 1
        while re.match(r" *[A-Za-z]\w*: *\S", lines[above]):
            above -= 1
        if not lines[above].lstrip().startswith("#"):
            unexplained.append(line.strip())
    # Requests and limits are documented by Kubernetes; the lists of networks are below a common comment.
    assert [line for line in unexplained if not re.match(r"(requests|limits|matchLabels|ipv4|ipv6):", line)] == []
    with helm.Chart.load(CHART) as chart:
        chart.validate_schema(chart.values)


@pytest.mark.parametrize("mode", ["static", "dns", "kubernetes"])
def test_services_have_the_names_and_ports_that_ingress_rules_use(mode):
    objects = render({"discovery": {"mode": mode}})
    ports = {
        item["metadata"]["name"]: [port["port"] for port in item["spec"]["ports"]]
        for item in objects
        if item["kind"] == "Service" and item["spec"].get("clusterIP") != "None"
    }
    assert ports == {
        "camofleet-camo-fleet-ui": [80],
        "camofleet-camo-fleet-control": [9000],
        "camofleet-camo-fleet-worker": [8080],
        "camofleet-camo-fleet-worker-vnc": [8080, 6900, 5900, 5901, 5902, 5903, 5904],
    }


def test_live_views_of_one_pod_have_addresses_within_the_cluster():
    workers = control_json({"discovery": {"mode": "static"}}, "CONTROL_WORKERS")
    host = "camofleet-camo-fleet-worker-vnc"
    assert workers == [
        {"name": "worker", "url": "http://camofleet-camo-fleet-worker:8080", "supports_vnc": False},
        {
            "name": "worker-vnc", "url": f"http://{host}:8080", "supports_vnc": True,
            "vnc_ws": f"ws://{host}:6900/websockify?token={{id}}", "vnc_http": f"http://{host}:6900/vnc/{{id}}",
        },
    ]  # fmt: skip


def test_public_addresses_of_live_views_are_passed_to_control():
    worker = control_json({"workerVnc": {"controlOverrides": LIVE_VIEWS}}, "CONTROL_WORKERS")[1]
    assert (worker["vnc_ws"], worker["vnc_http"]) == (LIVE_VIEWS["ws"], LIVE_VIEWS["http"])


@pytest.mark.parametrize("component", ["worker", "workerVnc"])
@pytest.mark.parametrize("change", [{"replicaCount": 2}, {"autoscaling": {"enabled": True}}], ids=["replicas", "autoscaling"])
def test_several_pods_are_found_by_dns_where_control_has_no_access_to_the_api(component, change):
    values = {component: change, "rbac": {"create": False}}
    records = control_json(values, "CONTROL_DISCOVERY")
    assert records == [
        {"url": "dns://camofleet-camo-fleet-worker-headless.camofleet.svc.cluster.local:8080", "supports_vnc": False},
        {"url": "dns://camofleet-camo-fleet-worker-vnc-headless.camofleet.svc.cluster.local:8080", "supports_vnc": True},
    ]
    objects = render(values)
    assert "CONTROL_WORKERS" not in find(objects, "ConfigMap", "control")["data"]
    for record in records:
        service = find(objects, "Service", record["url"].split("//")[1].split(".")[0].removeprefix(f"{NAME}-"))
        assert service["spec"]["clusterIP"] == "None" and service["spec"]["publishNotReadyAddresses"] is True
        assert service["spec"]["ports"] == [{"name": "http", "port": 8080, "targetPort": "http"}]


@pytest.mark.parametrize("pods", [1, 3])
def test_pods_are_watched_by_default_with_the_needed_rights_and_replaced_one_by_one(pods):
    objects = render({"worker": {"replicaCount": pods}})
    data = find(objects, "ConfigMap", "control")["data"]
    assert yaml.safe_load(data["CONTROL_DISCOVERY"]) == [
        {"url": f"kubernetes://{NAME}-worker:8080", "supports_vnc": False},
        {"url": f"kubernetes://{NAME}-worker-vnc:8080", "supports_vnc": True},
    ]
    assert "CONTROL_DISCOVERY_INTERVAL_SECONDS" not in data and "CONTROL_WORKERS" not in data
    for component in ("worker", "worker-vnc"):
        service = find(objects, "Service", component)["spec"]
        # The URL has the port of the pods, which may differ from the Service's.
        assert service["ports"][0]["targetPort"] == "http" and service["publishNotReadyAddresses"] is True
        deployment = find(objects, "Deployment", component)["spec"]
        assert deployment["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}}
        # More than the longest time until a broken watch is resumed.
        assert deployment["minReadySeconds"] > 5
    role, binding = find(objects, "Role", "control"), find(objects, "RoleBinding", "control")
    assert role["rules"] == [{"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["get", "list", "watch"]}]
    account = find(objects, "ServiceAccount", "control")["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": "camofleet"}]
    assert find(objects, "Deployment", "control")["spec"]["template"]["spec"]["serviceAccountName"] == account


@pytest.mark.parametrize(
    "values",
    [
        {"rbac": {"create": False}},
        {"workerVnc": {"controlOverrides": LIVE_VIEWS}},
        {"workerVnc": {"vnc": {"bind": "127.0.0.1"}}},
        {"control": {"workers": [{"name": "outside", "url": "http://192.0.2.7:8080"}]}},
    ],
    ids=["no rights", "addresses of one pod", "VNC on loopback", "workers of one's own"],
)
def test_values_that_fit_only_one_pod_disable_discovery(values):
    objects = render(values)
    assert "CONTROL_DISCOVERY" not in find(objects, "ConfigMap", "control")["data"]
    assert find(objects, "Role", "control") is None


def test_an_existing_service_account_is_used():
    objects = render({"rbac": {"create": False, "serviceAccountName": "mine"}})
    assert "kubernetes://" in find(objects, "ConfigMap", "control")["data"]["CONTROL_DISCOVERY"]
    assert find(objects, "Deployment", "control")["spec"]["template"]["spec"]["serviceAccountName"] == "mine"
    assert not [item for item in objects if item["kind"] in ("Role", "RoleBinding", "ServiceAccount")]


def test_without_discovery_a_rollout_never_runs_two_pods_behind_one_address():
    objects = render({"discovery": {"mode": "static"}})
    strategies = [find(objects, "Deployment", name)["spec"]["strategy"]["type"] for name in ("worker", "worker-vnc")]
    assert strategies == ["Recreate", "Recreate"]


def test_ids_and_ports_of_live_views_agree(objects):
    if not find(objects, "Deployment", "worker-vnc"):
        pytest.skip("no live views here")
    runner, gateway = settings(objects, "worker-vnc", "runner"), settings(objects, "worker-vnc", "gateway")
    ids = f"{runner['RUNNER_VNC_WS_PORT_MIN']}-{runner['RUNNER_VNC_WS_PORT_MAX']}"
    assert (gateway["VNC_WEB_RANGE"], gateway["VNC_BASE_PORT"]) == (ids, runner["RUNNER_VNC_PORT_MIN"])
    spans = {
        kind: int(runner[f"RUNNER_VNC_{kind}_MAX"]) - int(runner[f"RUNNER_VNC_{kind}_MIN"])
        for kind in ("DISPLAY", "PORT", "WS_PORT")
    }
    assert len(set(spans.values())) == 1, spans
    control = settings(objects, "control", "control")
    if "CONTROL_DISCOVERY" in control:
        assert (control["VNC_WEB_RANGE"], control["VNC_BASE_PORT"]) == (ids, runner["RUNNER_VNC_PORT_MIN"])
        assert not runner["RUNNER_VNC_BIND"].startswith("127.")


def test_panel_proxies_live_views_to_the_service_that_serves_them():
    where = {}
    for name in ("static", "default", "everything"):
        ui = settings(render(VALUES[name]), "ui", "ui")
        assert ui["CONTROL_URL"] == "http://camofleet-camo-fleet-control.camofleet.svc.cluster.local:9000"
        where[name] = ui["GATEWAY_URL"]
    assert where["static"] == "http://camofleet-camo-fleet-worker-vnc.camofleet.svc.cluster.local:6900"
    assert where["default"] == where["everything"] == "http://camofleet-camo-fleet-control.camofleet.svc.cluster.local:9000"


def test_every_pod_has_a_restricted_security_context(objects):
    for component, spec in pod_specs(objects):
        context = spec["securityContext"]
        assert (context["runAsNonRoot"], context["runAsUser"], context["seccompProfile"]["type"]) == (True, 10001, "RuntimeDefault"), component
        assert spec["enableServiceLinks"] is False, component
        assert spec["dnsConfig"]["options"] == [{"name": "ndots", "value": "1"}], component
        for container in spec["containers"]:
            confined = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
            assert container["securityContext"] == confined, (component, container["name"])
            assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["memory"]


def test_only_control_has_access_to_the_kubernetes_api_and_only_to_what_it_uses(values, objects):
    data = find(objects, "ConfigMap", "control")["data"]
    costs, watches = "CONTROL_POD_DELETION_COST" in data, "kubernetes://" in data.get("CONTROL_DISCOVERY", "")
    for component, spec in pod_specs(objects):
        assert spec["automountServiceAccountToken"] is ((costs or watches) and component == "control"), component
    rules = [(tuple(rule["resources"]), tuple(rule["verbs"])) for item in objects if item["kind"] == "Role" for rule in item["rules"]]
    expected = [(("endpointslices",), ("get", "list", "watch"))] * watches + [(("pods",), ("patch",))] * costs
    assert rules == (expected if values.get("rbac", {}).get("create", True) else [])
    assert not [item for item in objects if item["kind"] in ("ClusterRole", "ClusterRoleBinding")]


def test_browsers_have_shared_memory_and_a_run_directory_in_memory(objects):
    for component, spec in pod_specs(objects):
        for container in spec["containers"]:
            if container["name"] != "runner":
                continue
            volumes = {volume["name"]: volume.get("emptyDir") for volume in spec["volumes"]}
            mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
            assert mounts["/dev/shm"] == {"medium": "Memory", "sizeLimit": "2Gi"}
            # Below the volume, which belongs to root, because the runner requires a directory of its own user.
            run_directory = Path(settings(objects, component, "runner")["RUNNER_RUN_DIR"])
            assert mounts[str(run_directory.parent)]["medium"] == "Memory" and str(run_directory) not in mounts
            assert "/tmp" in mounts


def test_no_container_of_a_worker_pod_stops_before_its_sessions_end(objects):
    seen = 0
    for component, spec in pod_specs(objects):
        if component not in ("worker", "worker-vnc"):
            continue
        for container in spec["containers"]:
            command = container["lifecycle"]["preStop"]["exec"]["command"]
            assert command[:4] == ["camofleet", "drain", "--url", "http://127.0.0.1:8070"], container["name"]
            assert command[4] == "--timeout" and int(command[5]) < spec["terminationGracePeriodSeconds"]
            seen += 1
    assert seen >= 2


def test_commands_exist_in_the_binary(objects):
    commands = set()
    for _, _, container in containers(objects):
        probes = [container.get(name, {}) for name in ("startupProbe", "livenessProbe", "readinessProbe")]
        hook = container.get("lifecycle", {}).get("preStop", {})
        commands |= {tuple(probe["exec"]["command"]) for probe in (*probes, hook) if "exec" in probe}
        commands |= {tuple(container["command"])} if "command" in container else set()
    ours = [command for command in commands if command[0] == "camofleet"]
    assert {command[1] for command in ours} == {"health", "drain"}
    assert {command[0] for command in commands} <= {"camofleet", "sleep"}
    for command in ours:
        usage = camofleet(command[1], "--help")
        assert usage.returncode == 0, f"camofleet {command[1]}: {usage.stderr}"
        for option in (argument for argument in command if argument.startswith("--")):
            assert option in usage.stdout, f"camofleet {command[1]} has no option {option}"


def test_references_between_objects_resolve(objects):
    named = {(item["kind"], item["metadata"]["name"]) for item in objects}
    pods = [item["spec"]["template"] for item in objects if item["kind"] == "Deployment"]
    ports = {}
    for item in objects:
        if item["kind"] == "Service":
            selected = [pod for pod in pods if item["spec"]["selector"].items() <= pod["metadata"]["labels"].items()]
            assert len(selected) == 1, f"{item['metadata']['name']} selects {len(selected)} kinds of pods"
            offered = {port["name"] for found in selected[0]["spec"]["containers"] for port in found.get("ports", [])}
            assert {port["targetPort"] for port in item["spec"]["ports"]} <= offered
            ports[item["metadata"]["name"]] = {port["port"] for port in item["spec"]["ports"]}
        elif item["kind"] == "Deployment":
            assert item["spec"]["selector"]["matchLabels"].items() <= item["spec"]["template"]["metadata"]["labels"].items()
            autoscaled = {("ScaledObject", item["metadata"]["name"]), ("HorizontalPodAutoscaler", item["metadata"]["name"])} & named
            assert ("replicas" in item["spec"]) is not bool(autoscaled), "two would set the replicas"
        elif item["kind"] in ("ScaledObject", "HorizontalPodAutoscaler"):
            assert ("Deployment", item["spec"]["scaleTargetRef"]["name"]) in named
            for trigger in item["spec"].get("triggers", []):
                if "authenticationRef" in trigger:
                    assert ("TriggerAuthentication", trigger["authenticationRef"]["name"]) in named
    for item in objects:
        if item["kind"] == "Ingress":
            backends = [path["backend"]["service"] for rule in item["spec"]["rules"] for path in rule["http"]["paths"]]
            used = [(backend["name"], backend["port"]["number"]) for backend in backends]
        elif item["kind"] == "IngressRoute":
            used = [(service["name"], service["port"]) for route in item["spec"]["routes"] for service in route["services"]]
            ours = [found["name"] for route in item["spec"]["routes"] for found in route.get("middlewares", []) if found["name"] != "auth"]
            assert all(("Middleware", name) in named for name in ours)
        else:
            continue
        assert all(port in ports[name] for name, port in used), used


def test_a_change_of_the_settings_restarts_control():
    sums = [
        find(render(values), "Deployment", "control")["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
        for values in ({}, {}, {"control": {"placement": "least_sessions"}})
    ]
    assert sums[0] == sums[1] != sums[2]


def test_images_come_from_the_configured_registry():
    images = {container["image"] for _, _, container in containers(render(VALUES["public"]))}
    assert images == {
        f"registry.example.com/team/camofleet-{name}:1.2.3"
        for name in ("ui", "control", "worker", "runner", "runner-vnc", "gateway")
    }


def test_extra_variables_override_the_chart_s():
    objects = render(VALUES["public"])
    assert settings(objects, "worker-vnc", "gateway")["MAX_CONCURRENT_SESSIONS"] == "200"
    assert settings(objects, "worker", "runner")["RUNNER_START_URL_WAIT"] == "none"
    assert settings(objects, "control", "control")["CONTROL_CREATE_TIMEOUT"] == "90"
    assert settings(objects, "control", "control")["CONTROL_API_TOKEN"]


def test_custom_resources_are_installed_only_if_enabled():
    groups = {item["apiVersion"] for item in render({"rbac": {"create": False}})}
    assert groups == {"v1", "apps/v1"}
    assert {item["apiVersion"] for item in render({})} - groups == {"rbac.authorization.k8s.io/v1"}
