"""Tokens: created once and kept, or read from a Secret, and passed to each part that requires or sends one."""
import base64
import json
import os
import re
import stat
import subprocess

import pytest
import yaml
from chart import NAME, REPOSITORY, containers, find, render
from cluster import Cluster
from conftest import VALUES, settings_in_force

SECRET = f"{NAME}-api-token"
# The token settings of each container.
CLIENTS = {("control", "control", "CONTROL_API_TOKEN"), ("worker-vnc", "gateway", "CONTROL_API_TOKEN")}
WORKERS = {
    ("control", "control", "CONTROL_WORKERS_TOKEN"),
    *((component, "worker", name) for component in ("worker", "worker-vnc") for name in ("WORKER_API_TOKEN", "WORKER_RUNNER_TOKEN", "RUNNER_API_TOKEN")),
    *((component, "runner", "RUNNER_API_TOKEN") for component in ("worker", "worker-vnc")),
    ("worker-vnc", "gateway", "RUNNER_API_TOKEN"),
}


def tokens(objects):
    """Every variable with a token, as its container and name, with the Secret and key that it comes from."""
    found = {}
    for component, name, container in containers(objects):
        for variable in container.get("env", []):
            source = variable.get("valueFrom", {}).get("secretKeyRef")
            if source and variable["name"].endswith("_TOKEN"):
                found[component, name, variable["name"]] = (source["name"], source["key"])
    return found


def made(cluster, values):
    text = cluster.render_text(values)["api-token.yaml"]
    data = yaml.safe_load(text)["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def test_tokens_are_created_and_differ_between_releases():
    values = {"apiToken": {"create": True}}
    with Cluster() as cluster:
        one, two = made(cluster, values), made(cluster, values)
    assert one.keys() == two.keys() == {"token", "workers-token"}
    assert len({*one.values(), *two.values()}) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9]{43}", token) for token in one.values())


def test_upgrades_keep_created_tokens_and_add_missing_ones():
    kept = base64.b64encode(b"kept-as-it-is").decode()
    live = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "data": {"token": kept}}
    with Cluster(live) as cluster:
        tokens_now = made(cluster, {"apiToken": {"create": True}})
    assert tokens_now["token"] == "kept-as-it-is" and len(tokens_now["workers-token"]) == 43


def test_every_part_gets_the_token_that_it_requires_or_sends():
    expected = {place: (SECRET, "token") for place in CLIENTS} | {place: (SECRET, "workers-token") for place in WORKERS}
    assert tokens(render({"apiToken": {"create": True}})) == expected


def test_an_existing_secret_is_used_with_its_keys():
    values = {"apiToken": {"existingSecret": "mine", "key": "api"}}
    assert tokens(render(values)) == {place: ("mine", "api") for place in CLIENTS}
    values["apiToken"]["workersKey"] = "inner"
    assert tokens(render(values)) == {place: ("mine", "api") for place in CLIENTS} | {place: ("mine", "inner") for place in WORKERS}
    assert find(render(values), "Secret", "api-token") is None


def test_without_a_token_no_container_gets_one():
    assert tokens(render({})) == {} and "CONTROL_REQUIRE_TOKEN" not in find(render({}), "ConfigMap", "control")["data"]


def test_tokens_of_extra_workers_are_in_no_config_map():
    objects = render(VALUES["tokens"])
    control = next(container for component, _, container in containers(objects) if component == "control")
    names = [variable["name"] for variable in control["env"]]
    assert names.index("CONTROL_WORKERS") > names.index("OUTSIDE_TOKEN")
    workers = json.loads(next(variable["value"] for variable in control["env"] if variable["name"] == "CONTROL_WORKERS"))
    # Workers of the release use CONTROL_WORKERS_TOKEN.
    assert {worker["name"]: worker.get("token") for worker in workers} == {"worker": None, "worker-vnc": None, "outside": "$(OUTSIDE_TOKEN)"}
    data = find(objects, "ConfigMap", "control")["data"]
    assert "TOKEN" not in json.dumps({name: value for name, value in data.items() if name != "CONTROL_REQUIRE_TOKEN"})
    assert "CONTROL_WORKERS" not in data and data["CONTROL_REQUIRE_TOKEN"] == "true"


@pytest.mark.parametrize("name", ["everything", "tokens"])
def test_drains_and_scrapes_send_the_token(name):
    objects = render(VALUES[name])
    for component, _, container in containers(objects):
        if component in ("worker", "worker-vnc"):
            command = container["lifecycle"]["preStop"]["exec"]["command"]
            variable = command[command.index("--token-env") + 1]
            assert variable in {found["name"] for found in container["env"]}
    scraped = {
        endpoint["port"]: endpoint["authorization"]["credentials"]["key"]
        for endpoint in find(objects, "PodMonitor", "workers")["spec"]["podMetricsEndpoints"]
    }
    token, workers = ("token", "workers-token") if name == "tokens" else ("api", "workers")
    assert scraped == {"http": workers, "runner": workers, "views": token}
    assert find(objects, "ServiceMonitor", "control")["spec"]["endpoints"][0]["authorization"]["credentials"]["key"] == token


@pytest.mark.parametrize("mode", ["static", "dns", "kubernetes"])
def test_runners_have_urls_of_live_views_from_which_control_reads_their_keys(mode):
    objects = render({"discovery": {"mode": mode}, "apiToken": {"create": True}, "workerVnc": {"gateway": {"port": 7000}}})
    runner = next(container for component, name, container in containers(objects) if (component, name) == ("worker-vnc", "runner"))
    variables = {variable["name"]: variable.get("value") for variable in runner["env"]}
    host = f"{NAME}-worker-vnc:7000"
    assert (variables["RUNNER_VNC_WS_BASE"], variables["RUNNER_VNC_HTTP_BASE"]) == (f"ws://{host}", f"http://{host}")


def write_tokens(directory):
    file = directory / ".env"
    done = subprocess.run([REPOSITORY / "scripts/token.sh", file], text=True, capture_output=True, check=True, timeout=10, umask=0o022)
    lines = file.read_text().splitlines()
    return done, file, dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]", line))


def test_the_script_writes_tokens_for_compose_and_make_run(tmp_path):
    done, file, settings = write_tokens(tmp_path)
    assert settings.keys() == {"CONTROL_API_TOKEN", "WORKER_API_TOKEN", "RUNNER_API_TOKEN"}
    assert len(set(settings.values())) == 3 and all(re.fullmatch(r"[0-9a-f]{64}", token) for token in settings.values())
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    assert done.stdout.strip() == settings["CONTROL_API_TOKEN"]
    assert settings_in_force(**settings)["CONTROL_API_TOKEN"] == "********"


def test_the_script_keeps_existing_values(tmp_path):
    (tmp_path / ".env").write_text("RUNNER_ENGINE=firefox\nCONTROL_API_TOKEN=mine\n#WORKER_API_TOKEN=\nRUNNER_API_TOKEN=")
    done, file, settings = write_tokens(tmp_path)
    assert (done.stdout.strip(), settings["CONTROL_API_TOKEN"], settings["RUNNER_ENGINE"]) == ("mine", "mine", "firefox")
    assert len(settings["WORKER_API_TOKEN"]) == len(settings["RUNNER_API_TOKEN"]) == 64
    before = file.read_text()
    assert write_tokens(tmp_path)[0].stdout.strip() == "mine" and file.read_text() == before
