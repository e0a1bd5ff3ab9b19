"""Draws identities of Camoufox with its own library, for camofleet.

One JSON object a line: commands on standard input, events on standard output; README.md has them. It ends when its
standard input is closed.
"""

import os
import sys

# The library prints to standard output, so that is taken over before anything else is imported: file descriptor 1 is
# standard error from here on, for Python and for C alike.
EVENTS = os.fdopen(os.dup(1), 'w', encoding='utf-8')
os.dup2(2, 1)
sys.stdout = sys.stderr

import json  # noqa: E402
import traceback  # noqa: E402
from importlib.metadata import version  # noqa: E402
from typing import Any  # noqa: E402

import offline  # noqa: E402

# The longest line that is read, in bytes; a command of camofleet is far shorter.
LINE_LIMIT = 1 << 20


def write(event: dict[str, Any]) -> None:
    """Writes one event. ASCII only, so that no reader meets half a character."""
    EVENTS.write(json.dumps(event, separators=(',', ':')) + '\n')
    EVENTS.flush()


def answer(line: str) -> dict[str, Any]:
    """Carries out one command, and returns its event."""
    from constraints import Refusal
    from draw import draw

    request = None
    try:
        command = json.loads(line)
        if not isinstance(command, dict):
            raise ValueError('a command is a JSON object')
        kind = command.get('type')
        if kind == 'ping':
            return {'type': 'pong'}
        if kind != 'draw' or not isinstance(command.get('request'), str):
            raise ValueError(f'{kind!r} is no command; they are ping, and draw with a request')
        request = command['request']
        return {'type': 'drawn', 'request': request, 'machine': draw(command.get('constraints'))}
    except Refusal as refusal:
        return {'type': 'refused', 'request': request, 'field': refusal.field, 'reason': refusal.reason}
    except ValueError as error:
        if request is None:
            return {'type': 'invalid', 'error': f'{error}: {line:.200}'}
        return failed(request, error)
    except Exception as error:  # of the library, whose kinds of errors are not a part of its interface
        return failed(request, error)


def failed(request: Any, error: Exception) -> dict[str, Any]:
    """The event of a draw that the library could not make."""
    traceback.print_exc()
    return {'type': 'failed', 'request': request, 'error': f'{type(error).__name__}: {error}'[:2000]}


def main() -> int:
    """Answers commands until standard input is closed. Returns the exit status."""
    offline.forbid_network()
    try:
        offline.check_model()
        import draw

        draw.prepare()
    except Exception as error:
        traceback.print_exc()
        write({'type': 'unusable', 'error': f'{type(error).__name__}: {error}'[:2000]})
        return 1
    names = ('camoufox', 'fpgen')
    versions = {'python': sys.version.split()[0], **{name: version(name) for name in names}}
    write({'type': 'hello', **versions, 'browser': draw.PAIRED_BUILD})
    for raw in iter(lambda: sys.stdin.buffer.readline(LINE_LIMIT), b''):
        line = raw.decode('utf-8', 'replace').strip()
        if line:
            write(answer(line))
    return 0


if __name__ == '__main__':
    sys.exit(main())
