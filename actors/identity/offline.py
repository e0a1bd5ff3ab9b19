"""Keeps a launch from the network, which only the set-up may use."""

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

# What a process must not do to reach another machine (https://docs.python.org/3/library/audit_events.html).
NETWORK_EVENTS = frozenset({'socket.connect', 'socket.getaddrinfo', 'socket.gethostbyname', 'socket.sendto', 'urllib.Request'})

# What installs what is missing.
REMEDY = "run 'camofleet setup camoufox'"


class NetworkForbidden(RuntimeError):
    """The library tried to fetch something."""


class NoModel(RuntimeError):
    """The statistical model that identities are drawn from is missing or not the pinned one."""


def forbid_network() -> None:
    """Makes every connection of this process fail from now on."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in NETWORK_EVENTS:
            raise NetworkForbidden(f'the library tried to use the network ({event}), so something is not installed: {REMEDY}')

    sys.addaudithook(hook)


def check_model() -> None:
    """Checks that fpgen's model is there, which the library would fetch otherwise.

    Raises NoModel.
    """
    from camoufox import fpgen_model

    directory = fpgen_model.fpgen_data_dir()
    if os.environ.get(fpgen_model.CUSTOM_MODEL_ENV):
        # A model of the user's own: fpgen reads it as it is, and fetches what is missing.
        names = ('fingerprint-network.json', 'values.json', 'values.dat')
        present = all((directory / name).exists() or (directory / f'{name}.zst').exists() for name in names)
    else:
        present = fpgen_model.is_pinned(directory)
    if not present:
        raise NoModel(f"fpgen's model is not in {directory}: {REMEDY}")


def module_file(name: str) -> Path:
    """Where a module lies, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f'{name} is not installed: {REMEDY}')
    return Path(spec.origin)
