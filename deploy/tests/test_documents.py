"""The documents' statements about the chart are correct."""
import functools
import re

import pytest
import yaml
from chart import CHART, DEPLOY, REPOSITORY

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
# By language; pages that exist in only one language are English.
DOCUMENTS = {
    "en": [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")), *sorted((REPOSITORY / "docs/adr").glob("*.md"))],
    "ru": [REPOSITORY / "README.ru.md", *sorted((REPOSITORY / "docs/ru").glob("*.md"))],
}
NAME = r"[a-z]\w*(?:\.\w+)+"


@pytest.fixture(params=DOCUMENTS)
def text(request):
    """The text of all documents in a language."""
    return "\n".join(path.read_text() for path in DOCUMENTS[request.param])


def value(name):
    return functools.reduce(lambda values, key: values[key], name.split("."), VALUES)


def test_values_have_the_names_and_defaults_of_the_tables(text):
    rows = re.findall(rf"^\| (`{NAME}`(?:, `[\w.]+`)*) \| (.+?) \|", text, re.MULTILINE)
    checked = 0
    for names, defaults in rows:
        names = re.findall(r"`([\w.]+)`", names)
        if names[0].split(".")[0] not in VALUES:
            continue
        # A name that begins with a dot is a sibling of the previous one.
        full = [name if not name.startswith(".") else names[0].rsplit(".", 1)[0] + name for name in names]
        documented = re.findall(r"`([^`]+)`", defaults)
        for number, name in enumerate(full):
            if documented:
                expected = documented[number] if len(documented) > 1 else documented[0]
                assert value(name) == yaml.safe_load(expected), f"{name} is {value(name)}"
            else:
                assert not value(name), f"{name} is {value(name)}, and but documented as {defaults}"
            checked += 1
    assert checked > 10


def test_commands_set_values_that_exist(text):
    names = re.findall(rf"--set(?:-string)?[ =][\"']?({NAME})=", text)
    assert names
    for name in names:
        value(name)


def test_files_of_deploy_exist(text):
    links = re.findall(r"\bdeploy/[\w./-]*\w", text)
    assert len(links) > 5
    for link in links:
        assert (DEPLOY.parent / link).exists(), link


def test_every_drain_of_a_node_deletes_its_volumes_in_memory():
    documents = [path for paths in DOCUMENTS.values() for path in paths]
    commands = [line for path in documents for line in path.read_text().splitlines() if "kubectl drain" in line]
    assert len(commands) >= len(DOCUMENTS)
    assert all("--delete-emptydir-data" in line and "--ignore-daemonsets" in line for line in commands), commands


def test_dashboard_and_alerts_are_in_the_chart_alone():
    copies = [path for path in DEPLOY.rglob("*") if path.name in ("dashboard.json", "alerts.yaml") and ".venv" not in path.parts]
    assert sorted(path.relative_to(CHART).as_posix() for path in copies) == ["files/alerts.yaml", "files/dashboard.json"]
