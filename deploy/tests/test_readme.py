"""What the READMEs say of the chart is so."""
import functools
import re

import pytest
import yaml
from chart import CHART, DEPLOY, REPOSITORY

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
READMES = sorted(REPOSITORY.glob("README*.md"))
NAME = r"[a-z]\w*(?:\.\w+)+"


def value(name):
    return functools.reduce(lambda values, key: values[key], name.split("."), VALUES)


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.name)
def test_values_have_the_names_and_defaults_that_the_table_says(path):
    rows = re.findall(rf"^\| (`{NAME}`(?:, `[\w.]+`)*) \| (.+?) \|", path.read_text(), re.MULTILINE)
    checked = 0
    for names, defaults in rows:
        names = re.findall(r"`([\w.]+)`", names)
        if names[0].split(".")[0] not in VALUES:
            continue
        # A name that begins with a dot is a sibling of the one before.
        full = [name if not name.startswith(".") else names[0].rsplit(".", 1)[0] + name for name in names]
        said = re.findall(r"`([^`]+)`", defaults)
        for number, name in enumerate(full):
            if said:
                expected = said[number] if len(said) > 1 else said[0]
                assert value(name) == yaml.safe_load(expected), f"{name} is {value(name)}"
            else:
                assert not value(name), f"{name} is {value(name)}, and said to be {defaults}"
            checked += 1
    assert checked > 10


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.name)
def test_commands_set_values_that_exist(path):
    names = re.findall(rf"--set(?:-string)?[ =][\"']?({NAME})=", path.read_text())
    assert names
    for name in names:
        value(name)


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.name)
def test_files_of_deploy_exist(path):
    for link in re.findall(r"\bdeploy/[\w./-]*\w", path.read_text()):
        assert (DEPLOY.parent / link).exists(), link


def test_every_drain_of_a_node_gives_up_its_volumes_in_memory():
    documents = [*READMES, *(REPOSITORY / "docs").rglob("*.md")]
    commands = [line for path in documents for line in path.read_text().splitlines() if "kubectl drain" in line]
    assert len(commands) >= len(READMES)
    assert all("--delete-emptydir-data" in line and "--ignore-daemonsets" in line for line in commands), commands
