"""Installs what identities of Camoufox are drawn with. Only this uses the network; a launch never does.

    python3 install.py [--venv DIRECTORY] [--check] [library] [model] [browser]

library   the virtual environment with Camoufox' own library, from requirements.txt, each file checked by its hash
model     the statistical model that identities are drawn from, checked by the hash that the library names
browser   the build of Camoufox that the library was released with, into the user's cache directory

Without a part: all three. --check installs nothing, and prints whether the library is current or missing. Needs Python 3.11 or newer with its module venv (Debian: python3-venv), nothing else.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / 'requirements.txt'
PARTS = ('library', 'model', 'browser')
OLDEST_PYTHON = (3, 11)
# Names what the virtual environment was made from; written last.
STAMP = '.camofleet-installed'

class Failed(Exception):
    """What can't be installed, and the remedy, in one line."""


def fingerprint(venv: Path) -> str:
    """What a virtual environment depends on: its Python, its place and the locked packages."""
    parts = (sys.version, sys.base_prefix, str(venv), REQUIREMENTS.read_text(encoding='utf-8'))
    return hashlib.sha256('\0'.join(parts).encode()).hexdigest()


def is_current(venv: Path) -> bool:
    """Whether the virtual environment is complete and of the locked packages."""
    stamp = venv / STAMP
    return stamp.is_file() and stamp.read_text(encoding='utf-8') == fingerprint(venv)


def install_library(venv: Path) -> None:
    """Makes the virtual environment, unless it is there and current."""
    if is_current(venv):
        return
    if venv.exists() and not (venv / 'pyvenv.cfg').is_file():
        raise Failed(f'{venv} is no virtual environment; remove it, or name another directory with --venv')
    shutil.rmtree(venv, ignore_errors=True)
    run([sys.executable, '-m', 'venv', str(venv)], f'{venv} could not be made; on Debian, install python3-venv')
    pip = [str(venv / 'bin/pip'), 'install', '--quiet', '--no-input', '--disable-pip-version-check', '--no-deps']
    run([*pip, '--require-hashes', '--requirement', str(REQUIREMENTS)], 'the packages could not be installed')
    # The library imports Playwright's package, but neither its Node nor its server is used: 130 MB.
    for driver in venv.glob('lib/python*/site-packages/playwright/driver'):
        shutil.rmtree(driver)
    (venv / STAMP).write_text(fingerprint(venv), encoding='utf-8')


def fetch(part: str, venv: Path) -> None:
    """Fetches the model or the browser with the library."""
    problem = f'the {part} could not be fetched from GitHub'
    run([str(venv / 'bin/python'), str(HERE / 'fetch.py'), part], problem)


def run(command: list[str], problem: str) -> None:
    """Runs a program, whose output is shown."""
    try:
        subprocess.run(command, check=True)
    except OSError as error:
        raise Failed(f'{problem}: {error}') from error
    except subprocess.CalledProcessError as error:
        raise Failed(f'{problem}: the lines above say why (exit status {error.returncode})') from error


def main() -> int:
    """Installs the parts. Returns the exit status."""
    parser = argparse.ArgumentParser(description='Installs what identities of Camoufox are drawn with.')
    parser.add_argument('--venv', type=Path, default=HERE / '.venv', help='the virtual environment')
    parser.add_argument('--check', action='store_true', help='print whether the library is current or missing')
    parser.add_argument('parts', nargs='*', choices=[[], *PARTS], help='what to install; without one: everything')
    given = parser.parse_args()
    parts = given.parts or PARTS
    try:
        if sys.version_info < OLDEST_PYTHON:
            raise Failed(f'Python {sys.version.split()[0]} is too old; 3.11 or newer is needed')
        venv = given.venv.absolute()
        if given.check:
            print('current' if is_current(venv) else 'missing')
            return 0
        install_library(venv)
        for part in parts:
            if part != 'library':
                fetch(part, venv)
    except Failed as failure:
        print(f'error: {failure}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
