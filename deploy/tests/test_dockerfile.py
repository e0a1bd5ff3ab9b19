"""The Dockerfile's steps that depend on the layout of the sources, without an engine."""
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()


def stage(name):
    """The instructions of a stage, each in one line."""
    body = re.search(rf"^FROM \S+ AS {name}\n(.*?)(?=^FROM )", DOCKERFILE, re.DOTALL | re.MULTILINE)[1]
    lines = [line for line in body.splitlines() if not line.startswith("#")]
    return re.sub(r"\\\n", " ", "\n".join(lines)).splitlines()


def test_the_empty_crates_of_the_build_have_everything_that_their_manifests_name(tmp_path):
    instructions = stage("binary")
    at = next(number for number, line in enumerate(instructions) if line.startswith("RUN "))
    for line in instructions[:at]:
        if not line.startswith("COPY "):
            continue
        *sources, target = line.removeprefix("COPY ").split()
        for source in sources:
            path = REPOSITORY / source
            if path.is_dir():
                shutil.copytree(path, tmp_path / target)
            else:
                (tmp_path / target).mkdir(parents=True, exist_ok=True)
                shutil.copy(path, tmp_path / target)
    steps = re.sub(r"--mount=\S+", "", instructions[at].removeprefix("RUN ")).split("&&")
    assert "cargo build" in steps[-1]
    subprocess.run("&&".join(steps[:-1]), shell=True, check=True, cwd=tmp_path)
    # Reads all manifests, and compiles nothing.
    read = ["cargo", "metadata", "--no-deps", "--offline", "--format-version=1"]
    packages = json.loads(subprocess.run(read, capture_output=True, check=True, cwd=tmp_path).stdout)["packages"]
    assert len(packages) == 4
    for package in packages:
        # It leaves out targets without a source, with which a build fails.
        found = {target["name"] for target in package["targets"]}
        manifest = tomllib.loads(Path(package["manifest_path"]).read_text())
        named = {target["name"] for kind in ("bin", "bench", "example", "test") for target in manifest.get(kind, [])}
        assert named <= found, package["name"]
