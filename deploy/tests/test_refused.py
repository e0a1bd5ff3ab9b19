"""Invalid values are rejected with the reason."""
import helm_python as helm
import pytest
from chart import render

REFUSED = {
    "a misspelled value": ({"contrl": {}}, "contrl"),
    "a misspelled value further down": ({"workerVnc": {"vnc": {"slot": 3}}}, "slot"),
    "a text for a number": ({"worker": {"replicaCount": "two"}}, "replicaCount"),
    "an unknown mode": ({"discovery": {"mode": "srv"}}, "mode"),
    "an unknown scaler": ({"autoscaling": {"kind": "cron"}}, "kind"),
    "no displays": ({"workerVnc": {"vnc": {"slots": 0}}}, "slots"),
    "a placement that does not exist": ({"control": {"placement": "random"}}, "placement"),
    "an invalid address of live views": ({"workerVnc": {"controlOverrides": {"ws": "https://a/{id}"}}}, "ws"),
    "a memory size without a number": ({"worker": {"shmSize": "much"}}, "shmSize"),
    "a pull policy that does not exist": ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
    "no worker": ({"worker": {"enabled": False}, "workerVnc": {"enabled": False}}, "There is no worker"),
    "several pods behind one address": (
        {"discovery": {"mode": "static"}, "worker": {"replicaCount": 2}}, "worker.replicaCount is 2"
    ),
    "autoscaling behind one address": (
        {"discovery": {"mode": "static"}, "workerVnc": {"autoscaling": {"enabled": True}}}, "workerVnc.autoscaling needs"
    ),
    "pod deletion costs behind one address": (
        {"discovery": {"mode": "static"}, "podDeletionCost": {"enabled": True}}, "podDeletionCost needs"
    ),
    "watching without the right to": (
        {"rbac": {"create": False}, "discovery": {"mode": "kubernetes"}}, "rbac.create"
    ),
    "pod deletion costs without the right to": (
        {"rbac": {"create": False}, "discovery": {"mode": "dns"}, "podDeletionCost": {"enabled": True}}, "right to patch"
    ),
    "workers that are both configured and discovered": (
        {"discovery": {"mode": "dns"}, "control": {"workers": [{"name": "a", "url": "http://a"}]}}, "names all workers"
    ),
    "tokens twice": ({"apiToken": {"create": True, "existingSecret": "a"}}, "both create and"),
    "a required token that does not exist": ({"apiToken": {"required": True}}, "apiToken.required"),
    "a key of no Secret": ({"apiToken": {"workersKey": "a"}}, "names a key of no Secret"),
    "bounds the wrong way round": (
        {"worker": {"autoscaling": {"enabled": True, "minReplicas": 5, "maxReplicas": 2}}}, "minReplicas is more"
    ),
    "more sessions than the limit of a pod": (
        {"worker": {"maxSessions": 4, "autoscaling": {"enabled": True}}}, "sessionsPerPod is more"
    ),
    "no pods with a scaler that does not support it": (
        {"autoscaling": {"kind": "hpa"}, "worker": {"autoscaling": {"enabled": True, "minReplicas": 0}}}, "minReplicas is 0"
    ),
    "a scaler without its Prometheus": (
        {"autoscaling": {"keda": {"trigger": "prometheus"}}, "worker": {"autoscaling": {"enabled": True}}}, "serverAddress"
    ),
    "addresses of live views that identify no pod": (
        {"workerVnc": {"replicaCount": 2, "controlOverrides": {"ws": "wss://a.example/{id}"}}}, "names no pod"
    ),
    "raw VNC out of control's reach": ({"workerVnc": {"replicaCount": 2, "vnc": {"bind": "127.0.0.1"}}}, "bind is loopback"),
    "an access mode without writing": (
        {"profiles": {"accessModes": ["ReadOnlyMany"]}}, "accessModes"
    ),
    "a claim without an access mode": ({"profiles": {"accessModes": []}}, "accessModes"),
    "an access mode that excludes others beside another one": (
        {"profiles": {"accessModes": ["ReadWriteOncePod", "ReadWriteOnce"]}}, "accessModes"
    ),
    "both kinds of workers on a volume for one pod": (
        {"profiles": {"enabled": True, "accessModes": ["ReadWriteOnce"]}}, "disable worker or workerVnc"
    ),
    "several pods on a volume for one pod": (
        {"profiles": {"enabled": True, "accessModes": ["ReadWriteOncePod"]}, "worker": {"enabled": False}, "workerVnc": {"replicaCount": 2}},
        "set workerVnc.replicaCount to 1"
    ),
    "autoscaling on a volume for one pod": (
        {
            "profiles": {"enabled": True, "accessModes": ["ReadWriteOnce"]}, "workerVnc": {"enabled": False},
            "worker": {"autoscaling": {"enabled": True}},
        }, "worker.autoscaling.enabled to false"
    ),
    "two sources of certificates": (
        {"ingressRoute": {"enabled": True, "tls": {"secretName": "a", "certResolver": "b"}}}, "secretName and a certResolver"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("values", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused(values, reason):
    with pytest.raises(helm.HelmError) as refusal:
        render(values)
    assert reason in str(refusal.value)
