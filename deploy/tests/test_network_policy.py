"""Which connections the chart's NetworkPolicies allow."""
import copy
import ipaddress

import pytest
from chart import render
from conftest import VALUES

OUTSIDE, PRIVATE, METADATA, METADATA_V6 = "198.51.100.7", "10.1.2.3", "169.254.169.254", "fd00:ec2::254"
TRAEFIK = {"namespace": {"kubernetes.io/metadata.name": "traefik"}, "labels": {"app": "traefik"}}
STRANGER = {"namespace": {"kubernetes.io/metadata.name": "other"}, "labels": {"app": "other"}}
PROMETHEUS = {"namespace": {"kubernetes.io/metadata.name": "monitoring"}, "labels": {"app.kubernetes.io/name": "prometheus"}}
DNS = {"namespace": {"kubernetes.io/metadata.name": "kube-system"}, "labels": {"k8s-app": "kube-dns"}}
HERE = {"kubernetes.io/metadata.name": "camofleet"}


def pod(component):
    labels = {"app.kubernetes.io/name": "camo-fleet", "app.kubernetes.io/instance": "camofleet", "app.kubernetes.io/component": component}
    return {"namespace": HERE, "labels": labels}


def selects(selector, labels):
    assert set(selector) <= {"matchLabels"}
    return selector.get("matchLabels", {}).items() <= labels.items()


def is_peer(peer, other):
    """Whether a peer of a rule is this pod or address."""
    if isinstance(other, str):
        if "ipBlock" not in peer:
            return False
        address = ipaddress.ip_address(other)
        blocks = [ipaddress.ip_network(cidr) for cidr in (peer["ipBlock"]["cidr"], *peer["ipBlock"].get("except", []))]
        return address in blocks[0] and not any(address in block for block in blocks[1:])
    if "ipBlock" in peer:
        return False
    in_namespace = selects(peer["namespaceSelector"], other["namespace"]) if "namespaceSelector" in peer else other["namespace"] == HERE
    return in_namespace and selects(peer.get("podSelector", {}), other["labels"])


def passes(rules, side, other, port):
    for rule in rules:
        ports = rule.get("ports") or [{"port": 0, "endPort": 65535}]
        if any(item["port"] <= port <= item.get("endPort", item["port"]) for item in ports):
            if not rule.get(side) or any(is_peer(peer, other) for peer in rule[side]):
                return True
    return False


def reaches(objects, source, target, port):
    """Whether a connection is allowed at its source and at its target: pods, or addresses outside of the cluster."""
    policies = [item["spec"] for item in objects if item["kind"] == "NetworkPolicy"]
    for own, other, kind, side in ((source, target, "Egress", "to"), (target, source, "Ingress", "from")):
        if isinstance(own, str) or own["namespace"] != HERE:
            continue
        applying = [policy for policy in policies if kind in policy["policyTypes"] and selects(policy["podSelector"], own["labels"])]
        if applying and not any(passes(policy.get(kind.lower(), []), side, other, port) for policy in applying):
            return False
    return True


STATIC = render({"discovery": {"mode": "static"}, "networkPolicy": {"enabled": True}})
WATCHED = render({"networkPolicy": {"enabled": True, "apiServerPeers": [{"ipBlock": {"cidr": "10.96.0.1/32"}}]}})
DISCOVERED = render(VALUES["everything"])
OPEN = render(VALUES["public"])


@pytest.mark.parametrize(
    ("objects", "source", "target", "port", "expected"),
    [
        (STATIC, OUTSIDE, pod("ui"), 8080, True),
        (STATIC, OUTSIDE, pod("control"), 9000, True),
        (STATIC, OUTSIDE, pod("worker-vnc"), 6900, True),
        (STATIC, STRANGER, pod("worker"), 8080, False),
        (STATIC, STRANGER, pod("worker-vnc"), 8080, False),
        (STATIC, STRANGER, pod("worker-vnc"), 5900, False),
        (STATIC, STRANGER, pod("worker"), 8070, False),
        (STATIC, PROMETHEUS, pod("worker"), 8070, False),
        (STATIC, pod("ui"), pod("control"), 9000, True),
        (STATIC, pod("ui"), pod("worker-vnc"), 6900, True),
        (STATIC, pod("ui"), pod("worker"), 8080, False),
        (STATIC, pod("test"), pod("control"), 9000, True),
        (STATIC, pod("control"), pod("worker"), 8080, True),
        (STATIC, pod("control"), pod("worker-vnc"), 8080, True),
        (STATIC, pod("control"), pod("worker-vnc"), 5900, False),
        (STATIC, pod("control"), pod("worker"), 8070, False),
        (STATIC, pod("control"), OUTSIDE, 443, False),
        (STATIC, pod("worker"), pod("control"), 9000, False),
        (STATIC, pod("worker"), pod("worker-vnc"), 5900, False),
        (STATIC, pod("worker"), DNS, 53, True),
        (STATIC, pod("control"), DNS, 53, True),
        (STATIC, pod("ui"), DNS, 53, True),
        (STATIC, pod("worker"), OUTSIDE, 443, True),
        (STATIC, pod("worker-vnc"), OUTSIDE, 8443, True),
        (STATIC, pod("worker"), "2001:db8::7", 443, True),
        (STATIC, pod("worker"), PRIVATE, 443, False),
        (STATIC, pod("worker-vnc"), "192.168.1.1", 80, False),
        (STATIC, pod("worker"), "fd12::1", 80, False),
        (STATIC, pod("worker"), METADATA, 80, False),
        (STATIC, pod("worker"), METADATA_V6, 80, False),
        (STATIC, pod("ui"), OUTSIDE, 443, False),
        (DISCOVERED, pod("control"), pod("worker-vnc"), 5900, True),
        (DISCOVERED, pod("control"), pod("worker-vnc"), 5904, True),
        (DISCOVERED, pod("control"), pod("worker-vnc"), 5905, False),
        (DISCOVERED, pod("ui"), pod("worker-vnc"), 6900, False),
        (DISCOVERED, STRANGER, pod("worker-vnc"), 6900, False),
        (DISCOVERED, STRANGER, pod("worker-vnc"), 5900, False),
        (DISCOVERED, PROMETHEUS, pod("worker"), 8070, True),
        (DISCOVERED, PROMETHEUS, pod("worker-vnc"), 8080, True),
        (DISCOVERED, pod("control"), "10.96.0.1", 443, True),
        (DISCOVERED, pod("control"), "10.96.0.2", 443, False),
        (WATCHED, pod("control"), "10.96.0.1", 443, True),
        (WATCHED, pod("control"), "10.96.0.1", 6443, True),
        (WATCHED, pod("control"), "10.96.0.2", 443, False),
        (WATCHED, pod("control"), pod("worker-vnc"), 5900, True),
        (WATCHED, pod("worker"), "10.96.0.1", 443, False),
        (OPEN, pod("worker"), PRIVATE, 443, True),
        (OPEN, pod("worker"), METADATA, 80, False),
        (OPEN, pod("worker-vnc"), METADATA_V6, 80, False),
        (OPEN, TRAEFIK, pod("control"), 9000, True),
        (OPEN, TRAEFIK, pod("worker-vnc"), 6900, True),
        (OPEN, STRANGER, pod("control"), 9000, False),
        (OPEN, OUTSIDE, pod("ui"), 8080, False),
        (OPEN, pod("test"), pod("control"), 9000, True),
        (OPEN, pod("control"), "192.0.2.7", 8080, True),
    ],
)
def test_reaches(objects, source, target, port, expected):
    assert reaches(objects, source, target, port) is expected


def test_metadata_is_blocked_whatever_the_private_networks_are():
    for private in ([], ["10.0.0.0/8"], ["169.254.0.0/16"]):
        for allowed in (True, False):
            policy = {"enabled": True, "allowPrivateNetworks": allowed, "privateNetworks": {"ipv4": private, "ipv6": []}}
            objects = render({"networkPolicy": policy})
            assert not reaches(objects, pod("worker"), METADATA, 80)
            assert not reaches(objects, pod("worker"), METADATA_V6, 80)


def test_exceptions_are_within_their_networks():
    """Required by Kubernetes, but not part of the schema."""
    blocks = [
        peer["ipBlock"]
        for item in STATIC + WATCHED + DISCOVERED + OPEN
        if item["kind"] == "NetworkPolicy"
        for side in ("ingress", "egress")
        for rule in item["spec"].get(side, [])
        for peer in (*rule.get("from", []), *rule.get("to", []))
        if "ipBlock" in peer
    ]
    assert blocks
    for block in blocks:
        whole = ipaddress.ip_network(block["cidr"])
        for part in block.get("except", []):
            assert ipaddress.ip_network(part).subnet_of(whole) and part != block["cidr"], block


def test_the_check_fails_without_a_policy():
    objects = [item for item in copy.deepcopy(STATIC) if item["metadata"]["name"] != "camofleet-camo-fleet-worker"]
    assert reaches(objects, STRANGER, pod("worker"), 8080)
