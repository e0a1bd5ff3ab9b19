"""Renders the chart with Helm's own engine."""
import copy
import functools
import json
from pathlib import Path

import helm_python as helm
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "deploy"
CHART = DEPLOY / "helm/camo-fleet"
RELEASE, NAMESPACE = "camofleet", "camofleet"
NAME = "camofleet-camo-fleet"


def render_text(values):
    """The rendered templates by file name, without empty ones."""
    with helm.Chart.load(CHART) as chart:
        rendered = chart.render(values, name=RELEASE, namespace=NAMESPACE)
    return {Path(path).name: text for path, text in rendered.items() if text.strip()}


@functools.lru_cache(None)
def _render(values):
    templates = {name: text for name, text in render_text(json.loads(values)).items() if name.endswith(".yaml")}
    return [document for _, text in sorted(templates.items()) for document in yaml.safe_load_all(text) if document]


def render(values=None):
    """All objects rendered from these values."""
    return copy.deepcopy(_render(json.dumps(values or {}, sort_keys=True)))


def find(objects, kind, name):
    """The object of this kind and name, given without the release's name; None if there is none."""
    found = [item for item in objects if (item["kind"], item["metadata"]["name"]) == (kind, f"{NAME}-{name}")]
    assert len(found) < 2, f"{kind} {name} is there {len(found)} times"
    return found[0] if found else None


def pod_specs(objects):
    """The pods of all workloads, as component and spec."""
    for item in objects:
        if item["kind"] == "Deployment":
            labels = item["spec"]["template"]["metadata"]["labels"]
            yield labels["app.kubernetes.io/component"], item["spec"]["template"]["spec"]
        elif item["kind"] == "Pod":
            yield item["metadata"]["labels"]["app.kubernetes.io/component"], item["spec"]


def containers(objects):
    """All containers, as component, name and container."""
    for component, spec in pod_specs(objects):
        for container in spec["containers"]:
            yield component, container["name"], container


def environment(objects, container):
    """A container's environment variables as Kubernetes would set them; Secrets and fields get placeholders."""
    config_maps = {item["metadata"]["name"]: item["data"] for item in objects if item["kind"] == "ConfigMap"}
    variables = {}
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            variables |= config_maps.get(source["configMapRef"]["name"], {})
    for variable in container.get("env", []):
        variables[variable["name"]] = variable["value"] if "value" in variable else "stand-in"
    return variables
