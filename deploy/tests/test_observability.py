"""Dashboard, alerts and autoscaling query metrics and labels that exist."""
import json
import re

import promql_parser
import pytest
import yaml
from chart import CHART, REPOSITORY, find, render
from conftest import VALUES

DASHBOARD = json.loads((CHART / "files/dashboard.json").read_text())
ALERTS = yaml.safe_load((CHART / "files/alerts.yaml").read_text())
# Labels that are added by the scrape, and by Prometheus to the buckets of histograms.
SCRAPED = {"job", "instance", "namespace", "pod", "cluster"}
DEFINITION = re.compile(
    r'\b(gauges?|counters|IntCounter::new|histograms?)\(\s*"(camofleet_\w+)",\s*"[^"]*",?\s*(?:&\[([^\]]*)\])?', re.DOTALL
)


def defined_metrics():
    """Every series of the binary with its labels, from the definitions in the source."""
    series = {}
    for path in (REPOSITORY / "actors/src").rglob("*.rs"):
        for kind, name, labels in DEFINITION.findall(path.read_text()):
            names = set(re.findall(r'"(\w+)"', labels))
            if kind.startswith("histogram"):
                series |= {f"{name}_bucket": names | {"le"}, f"{name}_sum": names, f"{name}_count": names}
            else:
                series[name] = names
    assert len(series) > 20, "the metrics' definitions are no longer found where they were"
    return series


SERIES = defined_metrics()


def check(query):
    """Checks that a query is valid, and that its series and labels exist."""
    query = query.replace("$__rate_interval", "5m").replace("$__range", "3h")
    parsed, grouped, selected = promql_parser.parse(query), set(), []

    def visit(node):
        if isinstance(node, promql_parser.MatrixSelector):
            node = node.vector_selector
        if isinstance(node, promql_parser.VectorSelector):
            selected.append(node)
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier:
            grouped.update(node.modifier.labels)

    promql_parser.walk(parsed, visit)
    assert selected, query
    known = set(SCRAPED)
    for selector in selected:
        assert selector.name in SERIES, f"{selector.name} does not exist: {query}"
        known |= SERIES[selector.name]
        for matcher in selector.matchers.matchers:
            assert matcher.name in SERIES[selector.name] | SCRAPED, f"{selector.name} has no label {matcher.name}"
    assert grouped <= known, f"no series has {grouped - known}: {query}"
    return known


PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_panel(panel):
    assert panel["description"] and panel["datasource"]["uid"] == "${datasource}"
    for target in panel["targets"]:
        known = check(target["expr"])
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= known
        variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
        assert set(re.findall(r"\$(\w+)", target["expr"])) <= variables | {"__rate_interval", "__range"}


def test_panels_do_not_overlap():
    taken = {}
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for cell in ((x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])):
            assert taken.setdefault(cell, panel["title"]) == panel["title"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


def test_variables_query_series_that_exist():
    queries = [variable["query"]["query"] for variable in DASHBOARD["templating"]["list"] if variable["type"] == "query"]
    assert len(queries) == 2
    for query in queries:
        assert re.fullmatch(r"label_values\((\w+), job\)", query)[1] in SERIES


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_alert(rule):
    known = check(rule["expr"])
    texts = " ".join(rule["annotations"].values())
    assert set(re.findall(r"\$labels\.(\w+)", texts)) <= known
    assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_every_metric_is_in_the_dashboard_or_in_an_alert():
    used = " ".join(
        [target["expr"] for panel in PANELS for target in panel["targets"]] + [rule["expr"] for rule in RULES]
    )
    assert {name for name in families() if name not in used} <= {"camofleet_fleet_sessions"}


def families():
    """The names of the metrics, as in their definitions."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in SERIES}


@pytest.mark.parametrize("page", ["docs/metrics.md", "docs/ru/metrics.md"])
def test_page_has_every_metric_and_an_alert_for_each(page):
    rows = re.findall(r"^\| `(camofleet_\w+)` \| (.*) \|$", (REPOSITORY / page).read_text(), re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted([*families(), *families()])
    alerts = {name: re.search(r"`([^`]+)`", text)[1] for name, text in rows if not text.startswith(("gauge", "counter", "histogram"))}
    assert alerts.keys() == families()
    rules = {rule["alert"]: rule["expr"] for rule in RULES}
    for name, condition in alerts.items():
        expression = rules.get(condition) or condition.replace("\\|", "|")
        check(expression)
        assert name in expression, f"{condition} does not watch {name}"
    assert rules.keys() <= set(alerts.values())


@pytest.mark.parametrize("name", ["everything", "keda-prometheus", "views-only-keda"])
def test_keda_queries_metrics_that_exist(name):
    queries = 0
    for item in render(VALUES[name]):
        if item["kind"] == "ScaledObject":
            for trigger in item["spec"]["triggers"]:
                check(trigger["metadata"].get("query") or trigger["metadata"]["valueLocation"])
                queries += 1
    assert queries == 2


def test_hpa_queries_a_metric_that_exists():
    scaler = find(render(VALUES["hpa"]), "HorizontalPodAutoscaler", "worker-vnc")
    metric = scaler["spec"]["metrics"][0]["external"]["metric"]
    assert {expression["key"] for expression in metric["selector"]["matchExpressions"]} <= SERIES[metric["name"]]


def test_workers_with_live_views_alone_serve_all_demand():
    triggers = find(render(VALUES["views-only-keda"]), "ScaledObject", "worker-vnc")["spec"]
    names = [trigger["name"] for trigger in triggers["triggers"]]
    assert triggers["advanced"]["scalingModifiers"]["formula"] == " + ".join(names)
    served = [trigger["metadata"]["valueLocation"] for trigger in triggers["triggers"]]
    assert served == ['camofleet_fleet_demand{vnc="true"}', 'camofleet_fleet_demand{vnc="false"}']


def test_the_check_fails_for_a_metric_or_label_that_does_not_exist():
    for query in ("camofleet_session", 'camofleet_drivers{kind="a"}', "sum by (wrker) (camofleet_sessions)"):
        with pytest.raises(AssertionError):
            check(query)
