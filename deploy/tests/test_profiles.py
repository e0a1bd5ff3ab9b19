"""Where profiles are kept, by the images, compose.yaml and the chart."""
import re

import pytest
import yaml
from chart import NAME, REPOSITORY, containers, environment, find, render, render_text
from conftest import settings_in_force

DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())
WITH_BROWSERS = {"fleet", "runner", "runner-vnc"}
MANY = {"profiles": {"enabled": True}, "worker": {"replicaCount": 3}}
ONE = {"profiles": {"enabled": True, "accessModes": ["ReadWriteOnce"]}, "worker": {"enabled": False}}


def stages():
    """The lines of each stage of the Dockerfile, with those of the stages it is made from."""
    lines = {}
    for base, name, text in re.findall(r"^FROM (\S+) AS (\S+)\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL):
        lines[name] = lines.get(base, "") + text
    return lines


def volume_of_the_images():
    (path,) = re.findall(r"^VOLUME (\S+)$", DOCKERFILE, re.MULTILINE)
    return path


def runners(objects):
    """The pods with browsers, as component, pod and the container of the browsers."""
    for item in objects:
        if item["kind"] == "Deployment":
            spec = item["spec"]["template"]["spec"]
            for container in spec["containers"]:
                if container["name"] == "runner":
                    yield item["spec"], spec, container


def volume_of_profiles(pod, container):
    (mount,) = [mount for mount in container["volumeMounts"] if mount["mountPath"] == volume_of_the_images()]
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == mount["name"]]
    return volume


def seconds(duration):
    return int(re.fullmatch(r"(\d+)s", duration)[1])


def time_to_stop():
    """How long camofleet may take to stop with profiles in use."""
    settings = settings_in_force()
    return sum(float(settings[name]) for name in ("RUNNER_SHUTDOWN_TIMEOUT_SECONDS", "RUNNER_PROFILE_CLOSE_SECONDS"))


def test_every_image_with_browsers_has_a_volume_of_its_user_for_profiles_and_no_other_has():
    path = volume_of_the_images()
    made = stages()
    having = {name for name, lines in made.items() if f"VOLUME {path}\n" in lines}
    assert having & {"fleet", "runner", "runner-vnc", "control", "worker", "gateway", "ui"} == WITH_BROWSERS
    for name in WITH_BROWSERS:
        assert f"RUNNER_PROFILES_DIR={path}\n" in made[name]
        assert f"install -d -o 10001 -g 10001 -m 700 {path}\n" in made[name]
        # What is written to a volume by later layers is lost.
        assert path not in made[name].split(f"VOLUME {path}\n")[1]


def test_compose_keeps_profiles_in_one_volume_for_all_shapes_and_shares_it_between_containers():
    path = volume_of_the_images()
    shared = {}
    for name, service in COMPOSE["services"].items():
        if service["build"]["target"] not in WITH_BROWSERS:
            assert "volumes" not in service, name
            continue
        assert service["volumes"] == [f"profiles:{path}"] and service["read_only"] is True, name
        # .env may have another directory, for `make run`.
        assert service["environment"]["RUNNER_PROFILES_DIR"] == path, name
        shared[name] = service["environment"].get("RUNNER_PROFILES_SHARED")
    assert "profiles" in COMPOSE["volumes"]
    assert shared == {"fleet": None, "runner": "true", "runner-vnc": "true", "scale-host": "true"}


def test_containers_and_pods_have_the_time_to_store_profiles():
    for name, service in COMPOSE["services"].items():
        if "volumes" in service:
            assert seconds(service["stop_grace_period"]) >= time_to_stop() + 10, name
    for values in ({}, MANY, ONE, {"drain": {"graceSeconds": 0}}):
        for _, pod, container in runners(render(values)):
            drain = int(container["lifecycle"]["preStop"]["exec"]["command"][5])
            assert pod["terminationGracePeriodSeconds"] >= drain + time_to_stop() + 10


@pytest.mark.parametrize("page", ["docs/deployment.md", "docs/ru/deployment.md"])
def test_documented_commands_and_units_keep_profiles_and_leave_the_time_to_store_them(page):
    text = (REPOSITORY / page).read_text()
    (run,) = re.findall(r"^docker run --rm --shm-size.*?[^\\]$", text, re.MULTILINE | re.DOTALL)
    assert re.search(rf"-v [\w-]+:{volume_of_the_images()} ", run)
    assert int(re.search(r"--stop-timeout=(\d+)", run)[1]) >= time_to_stop() + 10
    (unit,) = re.findall(r"^```ini\n(\[Unit\].*?)^```$", text, re.MULTILINE | re.DOTALL)
    service = dict(line.split("=", 1) for line in unit.split("[Service]\n")[1].split("\n\n")[0].splitlines())
    # %S is the parent of the state directory.
    name, value = service["Environment"].split("=", 1)
    assert name in settings_in_force() and value.startswith(f"%S/{service['StateDirectory']}/")
    assert service["KillMode"] == "mixed" and int(service["TimeoutStopSec"]) >= time_to_stop() + 10


def test_profiles_of_pods_are_by_default_deleted_with_them():
    objects = render({})
    assert not [item for item in objects if item["kind"] == "PersistentVolumeClaim"]
    found = list(runners(objects))
    assert len(found) == 2
    for _, pod, container in found:
        assert volume_of_profiles(pod, container)["emptyDir"] == {}
        variables = environment(objects, container)
        assert variables["RUNNER_PROFILES_DIR"] == volume_of_the_images() and "RUNNER_PROFILES_SHARED" not in variables
        assert "fsGroupChangePolicy" not in pod["securityContext"]
    assert "Profiles are deleted with their pods" in render_text({})["NOTES.txt"]


@pytest.mark.parametrize("values", [MANY, ONE], ids=["any number of pods", "one pod"])
def test_all_pods_share_one_volume_that_uninstalling_keeps(values):
    objects = render(values)
    (claim,) = [item for item in objects if item["kind"] == "PersistentVolumeClaim"]
    assert claim["metadata"]["name"] == f"{NAME}-profiles"
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    modes = values["profiles"].get("accessModes", ["ReadWriteMany"])
    assert claim["spec"] == {"accessModes": modes, "resources": {"requests": {"storage": "10Gi"}}}
    found = list(runners(objects))
    assert len(found) == (2 if values is MANY else 1)
    for _, pod, container in found:
        assert volume_of_profiles(pod, container)["persistentVolumeClaim"] == {"claimName": f"{NAME}-profiles"}
        # Control takes all workers that say so for workers with the same profiles.
        assert environment(objects, container)["RUNNER_PROFILES_SHARED"] == "true"
        assert (pod["securityContext"]["fsGroup"], pod["securityContext"]["fsGroupChangePolicy"]) == (10001, "OnRootMismatch")
    mounting = [name for _, name, container in containers(objects) if "profiles" in {mount["name"] for mount in container.get("volumeMounts", [])}]
    assert set(mounting) == {"runner"}
    assert f"claim {NAME}-profiles, which uninstalling keeps" in render_text(values)["NOTES.txt"]


def test_a_volume_for_one_pod_is_free_before_the_next_pod_needs_it():
    kinds = {name: [spec["strategy"]["type"] for spec, _, _ in runners(render(values))] for name, values in (("many", MANY), ("one", ONE))}
    assert kinds == {"many": ["RollingUpdate"] * 2, "one": ["Recreate"]}


def test_an_existing_claim_is_used_and_none_is_created():
    values = {"profiles": {"enabled": True, "existingClaim": "people"}}
    objects = render(values)
    assert not [item for item in objects if item["kind"] == "PersistentVolumeClaim"]
    claims = {volume_of_profiles(pod, container)["persistentVolumeClaim"]["claimName"] for _, pod, container in runners(objects)}
    assert claims == {"people"}
    assert "uninstalling" not in render_text(values)["NOTES.txt"]


def test_the_created_claim_has_the_chosen_storage():
    values = {"profiles": {"enabled": True, "storageClassName": "nfs", "size": "1Ti", "accessModes": ["ReadWriteMany", "ReadWriteOnce"]}}
    assert find(render(values), "PersistentVolumeClaim", "profiles")["spec"] == {
        "accessModes": ["ReadWriteMany", "ReadWriteOnce"], "storageClassName": "nfs", "resources": {"requests": {"storage": "1Ti"}},
    }  # fmt: skip
