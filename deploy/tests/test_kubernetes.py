"""All objects are valid for Kubernetes, and for the operators whose resources are used."""
import functools
import json
import shutil
import subprocess

import jsonschema
import kubernetes_validate
import pytest
import yaml
from chart import CHART, DEPLOY, NAMESPACE, pod_specs, render
from conftest import HERE
from generate import generated
from kubernetes_validate import utils

# Cached, because the schemas of a version are megabytes, and would be read again for each object.
utils.schema_contents = functools.lru_cache(None)(utils.schema_contents)

OLDEST = yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"].removeprefix(">=").removesuffix("-0")
VERSIONS = [version for version in utils.all_versions() if utils.Version(version) >= utils.Version(OLDEST)]
CUSTOM = yaml.safe_load((HERE / "custom_resources.yaml").read_text())


@functools.lru_cache(None)
def validate_own(item, version):
    """Validates with a cache, because many values render the same objects."""
    kubernetes_validate.validate(json.loads(item), version, strict=True)


def validate(item, version):
    if item["kind"] not in CUSTOM:
        validate_own(json.dumps(item), version)
        return
    schema = CUSTOM[item["kind"]]
    assert item["apiVersion"] == schema["apiVersion"]
    assert set(item) == {"apiVersion", "kind", "metadata", "spec"}
    jsonschema.Draft202012Validator(schema["spec"]).validate(item["spec"])


@pytest.mark.parametrize("version", VERSIONS)
def test_chart_fits_kubernetes(objects, version):
    for item in objects:
        validate(item, version)


def test_the_oldest_supported_kubernetes_is_tested():
    assert VERSIONS[0].startswith(OLDEST.rsplit(".", 1)[0]) and len(VERSIONS) > 5


def test_every_object_has_a_unique_and_valid_name(objects):
    names = [(item["kind"], item["metadata"]["name"]) for item in objects]
    assert len(names) == len(set(names))
    for item in objects:
        assert item["metadata"]["namespace"] == NAMESPACE
        assert len(item["metadata"]["name"]) <= 63
        assert item["metadata"]["labels"]["app.kubernetes.io/name"] == "camo-fleet"


def assert_unique(names, where):
    names = list(names)
    assert len(names) == len(set(names)), f"{where}: {sorted(names)}"


def test_rules_of_the_api_server_that_no_schema_has(objects):
    for component, spec in pod_specs(objects):
        ports = [port for container in spec["containers"] for port in container.get("ports", [])]
        assert_unique((port["name"] for port in ports), component)
        assert_unique((port["containerPort"] for port in ports), component)
        assert all(len(port["name"]) <= 15 for port in ports)
        assert_unique((volume["name"] for volume in spec.get("volumes", [])), component)
        volumes = {volume["name"] for volume in spec.get("volumes", [])}
        for container in spec["containers"]:
            assert_unique((variable["name"] for variable in container.get("env", [])), component)
            assert_unique((mount["mountPath"] for mount in container.get("volumeMounts", [])), component)
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes
            named = {port["name"] for port in container.get("ports", [])}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                assert container.get(probe, {}).get("httpGet", {}).get("port") in named | {None}
    for item in objects:
        if item["kind"] == "Service":
            assert_unique((port["name"] for port in item["spec"]["ports"]), item["metadata"]["name"])
            assert_unique((port["port"] for port in item["spec"]["ports"]), item["metadata"]["name"])


def test_long_release_names_stay_within_bounds():
    objects = render({"nameOverride": "n" * 60, "worker": {"replicaCount": 2}})
    assert max(len(item["metadata"]["name"]) for item in objects) <= 63


@pytest.mark.parametrize("path", generated(), ids=lambda path: str(path.relative_to(DEPLOY)))
def test_generated_files_are_up_to_date(path):
    assert path.exists() and path.read_text() == generated()[path], "run `make k8s-manifests`"


@pytest.fixture(scope="module")
def kustomized(kubectl):
    done = subprocess.run([kubectl, "kustomize", DEPLOY / "k8s"], capture_output=True, text=True, check=True, timeout=60)
    return list(yaml.safe_load_all(done.stdout))


@pytest.mark.parametrize("version", VERSIONS)
def test_kustomization_fits_kubernetes(kustomized, version):
    for item in kustomized:
        validate(item, version)


def test_kustomization_is_the_chart_with_an_ingress_and_a_namespace(kustomized):
    def without_helm(item):
        labels = item["metadata"].get("labels", {})
        labels = {name: value for name, value in labels.items() if name not in ("helm.sh/chart", "app.kubernetes.io/managed-by")}
        item["metadata"] = item["metadata"] | {"labels": labels}
        template = item.get("spec", {}).get("template")
        if template:
            without_helm(template)
        return item

    charts = render({"ingress": {"enabled": True}})
    expected = {(item["kind"], item["metadata"]["name"]): without_helm(item) for item in charts if item["kind"] != "Pod"}
    found = {(item["kind"], item["metadata"]["name"]): without_helm(item) for item in kustomized}
    assert found.pop(("Namespace", "camofleet"))
    assert found == expected


def test_images_and_host_of_the_kustomization_can_be_replaced(kubectl, tmp_path):
    shutil.copytree(DEPLOY / "k8s", tmp_path / "k8s")
    kustomization = yaml.safe_load((tmp_path / "k8s/kustomization.yaml").read_text())
    for image in kustomization["images"]:
        image.update(newName=f"registry.example.com/{image['name']}", newTag="9")
    kustomization["patches"][0]["patch"] = kustomization["patches"][0]["patch"].replace("camofleet.example.com", "fleet.test")
    (tmp_path / "k8s/kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    done = subprocess.run([kubectl, "kustomize", tmp_path / "k8s"], capture_output=True, text=True, check=True, timeout=60)
    objects = list(yaml.safe_load_all(done.stdout))
    images = {
        container["image"] for item in objects if item["kind"] == "Deployment" for container in item["spec"]["template"]["spec"]["containers"]
    }
    assert images == {f"registry.example.com/{image['name']}:9" for image in kustomization["images"]}
    ingress = next(item for item in objects if item["kind"] == "Ingress")
    assert ingress["spec"]["rules"][0]["host"] == ingress["spec"]["tls"][0]["hosts"][0] == "fleet.test"
