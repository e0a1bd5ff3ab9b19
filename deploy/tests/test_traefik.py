"""The examples in deploy/traefik, and the chart's own routes, are valid and refer to the chart's Services."""
import pytest
import yaml
from chart import DEPLOY, render
from test_kubernetes import VERSIONS, validate

EXAMPLES = DEPLOY / "traefik"
BOTH = {"static": {"discovery": {"mode": "static"}}, "dns": {"discovery": {"mode": "dns"}}, "kubernetes": {}}
FILES = {
    "static": ["ui-and-api.yaml", "live-views.yaml"],
    "dns": ["ui-and-api.yaml", "live-views-discovered.yaml"],
    "kubernetes": ["ui-and-api.yaml", "live-views-discovered.yaml"],
}


def examples(mode):
    return [item for name in FILES[mode] for item in yaml.safe_load_all((EXAMPLES / name).read_text())]


def routes(objects):
    """Each route, as its match, its Service, and whether /vnc/{id} is stripped."""
    return {
        route["match"]: (route["services"][0]["name"], route["services"][0]["port"], len(route.get("middlewares", [])))
        for item in objects
        if item["kind"] == "IngressRoute"
        for route in item["spec"]["routes"]
    }


def test_every_example_is_tested():
    assert {path.name for path in EXAMPLES.iterdir()} == {name for names in FILES.values() for name in names}


@pytest.mark.parametrize("mode", BOTH)
def test_examples_are_valid(mode):
    for item in examples(mode):
        validate(item, VERSIONS[-1])
        assert item["metadata"]["namespace"] == "camofleet"


@pytest.mark.parametrize("mode", BOTH)
def test_examples_are_the_chart_s_own_routes(mode):
    installed = render(BOTH[mode] | {"ingressRoute": {"enabled": True}})
    assert routes(examples(mode)) == routes(installed)


@pytest.mark.parametrize("mode", BOTH)
def test_routes_refer_to_services_that_exist(mode):
    services = {
        (item["metadata"]["name"], port["port"])
        for item in render(BOTH[mode])
        if item["kind"] == "Service"
        for port in item["spec"]["ports"]
    }
    assert {(name, port) for name, port, _ in routes(examples(mode)).values()} <= services


def test_nothing_is_stripped_where_control_relays_live_views():
    assert {item["kind"] for item in examples("dns")} == {"IngressRoute"}
    assert [item["spec"] for item in examples("static") if item["kind"] == "Middleware"] == [
        {"stripPrefixRegex": {"regex": ["^/vnc/[0-9]+"]}}
    ]
