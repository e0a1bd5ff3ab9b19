"""The number of pods, their replacement, and their resource requests."""
import decimal
import re

import pytest
import yaml
from chart import NAME, containers, find, pod_specs, render
from cluster import Cluster
from conftest import VALUES

# The requests of a kubeadm control plane and DNS on the same node, of two cores.
CORES, TAKEN = decimal.Decimal(2), decimal.Decimal("0.95")
# The memory for pods on a node with 4 GiB.
MEMORY = 3300 * 2**20


def deployment(component, replicas):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": f"{NAME}-{component}"}, "spec": {"replicas": replicas}}


def replicas_on(cluster, values, component):
    texts = cluster.render_text(values)
    return yaml.safe_load(texts[f"{component}-deployment.yaml"].split("\n---\n")[0])["spec"].get("replicas")


@pytest.mark.parametrize(("component", "name"), [("worker", "worker"), ("worker-vnc", "workerVnc")])
@pytest.mark.parametrize(
    ("running", "least", "expected"),
    [(3, 3, 3), (7, 1, 7), (1, 3, 3), (0, 0, 0), (0, 2, 2)],
    ids=["turned on", "scaled out meanwhile", "too few", "scaled to nothing", "never below the least"],
)
def test_an_upgrade_with_autoscaling_keeps_the_number_of_pods(component, name, running, least, expected):
    values = {name: {"autoscaling": {"enabled": True, "minReplicas": least, "maxReplicas": 20}}}
    with Cluster(deployment(component, running)) as cluster:
        assert replicas_on(cluster, values, component) == expected


def test_the_first_install_with_autoscaling_and_a_rendering_without_a_cluster_have_no_replicas():
    values = {"worker": {"replicaCount": 3, "autoscaling": {"enabled": True, "minReplicas": 3}}}
    with Cluster() as cluster:
        assert replicas_on(cluster, values, "worker") is None
        assert any(path.endswith(f"/deployments/{NAME}-worker") for path in cluster.requested)
    assert "replicas" not in find(render(values), "Deployment", "worker")["spec"]


def test_without_autoscaling_the_values_decide_the_number_of_pods():
    with Cluster(deployment("worker", 9)) as cluster:
        assert replicas_on(cluster, {"worker": {"replicaCount": 2}}, "worker") == 2
        assert not any("deployments" in path for path in cluster.requested)


@pytest.mark.parametrize("least", [0, 1])
def test_keda_gets_only_settings_that_it_uses(least):
    values = {"worker": {"autoscaling": {"enabled": True, "minReplicas": least}}}
    scaled = find(render(values), "ScaledObject", "worker")["spec"]
    assert ("pollingInterval" in scaled, "cooldownPeriod" in scaled) == (least == 0, least == 0)


@pytest.mark.parametrize(("ttl", "interval", "expected"), [(30, 2, 35), (5, 0.5, 9), (0, 10, 13)])
def test_a_pod_found_by_dns_replaces_another_only_when_its_record_is_everywhere(ttl, interval, expected):
    values = {"discovery": {"mode": "dns", "dnsTtlSeconds": ttl, "intervalSeconds": interval}}
    for component in ("worker", "worker-vnc"):
        spec = find(render(values), "Deployment", component)["spec"]
        assert spec["minReadySeconds"] == expected
        assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_pods_without_discovery_have_no_minimum_ready_time():
    for component in ("worker", "worker-vnc"):
        assert "minReadySeconds" not in find(render({"discovery": {"mode": "static"}}), "Deployment", component)["spec"]


def cpu(quantity):
    return decimal.Decimal(quantity[:-1]) / 1000 if str(quantity).endswith("m") else decimal.Decimal(quantity)


def memory(quantity):
    number, unit = re.fullmatch(r"([0-9.]+)(Ki|Mi|Gi)", quantity).groups()
    return int(float(number) * 2 ** {"Ki": 10, "Mi": 20, "Gi": 30}[unit])


def requests(objects, read, name):
    """The total requests of each component's pods."""
    requested = {}
    for item in objects:
        if item["kind"] == "Deployment":
            component = item["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]
            pod = sum(read(container["resources"]["requests"][name]) for container in item["spec"]["template"]["spec"]["containers"])
            requested[component] = pod * item["spec"]["replicas"]
    return requested


def test_the_defaults_fit_a_node_of_two_cores_while_a_pod_is_replaced():
    objects = render({})
    for read, name, room in ((cpu, "cpu", CORES - TAKEN), (memory, "memory", MEMORY)):
        requested = requests(objects, read, name)
        assert len(requested) == 4
        assert sum(requested.values()) + max(requested.values()) <= room, (name, requested)


def test_every_container_requests_some_cpu():
    for name in VALUES:
        for component, called, container in containers(render(VALUES[name])):
            assert container["resources"]["requests"]["cpu"], (component, called)
    assert list(pod_specs(render({})))
