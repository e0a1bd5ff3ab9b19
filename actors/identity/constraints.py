"""The constraints of a draw: each field checked, with an error that names it and the remedy."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

SYSTEMS = ('windows', 'macos', 'linux')
# How much of each a request may have.
MOST_FONTS = 200
MOST_LANGUAGES = 8
LONGEST_NAME = 200
LONGEST_SEED = 64
SMALLEST_SCREEN, LARGEST_SCREEN = 320, 16_384
LONGEST_MOVEMENT = 30.0


class Refusal(Exception):
    """A constraint that no identity can have. `field` is its name in a create request."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f'{name}: {reason}')
        self.field = name
        self.reason = reason


@dataclass(frozen=True)
class Range:
    """Bounds of a size in pixels, inclusive."""

    low: int
    high: int

    def clamp(self, value: int) -> int:
        """The nearest size within it."""
        return max(self.low, min(self.high, value))


@dataclass(frozen=True)
class Constraints:
    """What an identity has to be like."""

    executable: Path
    seed: str
    systems: tuple[str, ...] = SYSTEMS
    # The bounds of the screen; both are one size where the browser's window is on a display.
    width: Optional[Range] = None
    height: Optional[Range] = None
    # Whether the window covers what the screen has free, because the live view shows the whole screen.
    maximised: bool = False
    webgl: Optional[tuple[str, str]] = None
    fonts: tuple[str, ...] = ()
    locale: tuple[str, ...] = ()
    timezone: Optional[str] = None
    geolocation: Optional[dict[str, float]] = None
    humanize: bool | float = False
    block_images: bool = False
    block_webrtc: bool = False
    main_world_eval: bool = False
    # Whether fonts that its system does not have are left out instead of refused.
    lenient: bool = False


def read(given: Any) -> Constraints:
    """Reads the constraints of a command. Raises Refusal."""
    if not isinstance(given, dict):
        raise Refusal('constraints', 'give an object')
    unknown = sorted(set(given) - set(READERS))
    if unknown:
        raise Refusal(unknown[0], f'there is no such constraint; they are {", ".join(READERS)}')
    values = {name: READERS[name](name, value) for name, value in given.items() if value is not None}
    for name in ('executable', 'seed'):
        if name not in values:
            raise Refusal(name, 'it is required')
    size = values.pop('screen', None)
    if size:
        values['width'], values['height'] = size
    if 'os' in values:
        values['systems'] = values.pop('os')
    return Constraints(**values)


def _text(name: str, value: Any, limit: int = LONGEST_NAME) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= limit or not value.isprintable():
        raise Refusal(name, f'give a text of 1 to {limit} printable characters')
    return value


def _texts(most: int) -> Callable[[str, Any], tuple[str, ...]]:
    def read_texts(name: str, value: Any) -> tuple[str, ...]:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not 0 < len(texts) <= most:
            raise Refusal(name, f'give a list of 1 to {most} texts')
        return tuple(dict.fromkeys(_text(name, text) for text in texts))

    return read_texts


def _systems(name: str, value: Any) -> tuple[str, ...]:
    systems = _texts(len(SYSTEMS))(name, value)
    for system in systems:
        if system not in SYSTEMS:
            raise Refusal(name, f'{system!r} is no system; they are {", ".join(SYSTEMS)}')
    return systems


def _executable(name: str, value: Any) -> Path:
    path = Path(_text(name, value, 4096))
    if not path.is_absolute() or not path.is_file():
        raise Refusal(name, f'{path} is not the path of a file; name the browser that is launched')
    return path


def _seed(name: str, value: Any) -> str:
    return _text(name, value, LONGEST_SEED)


def _pixels(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not SMALLEST_SCREEN <= value <= LARGEST_SCREEN:
        raise Refusal(name, f'give sizes of {SMALLEST_SCREEN} to {LARGEST_SCREEN} pixels')
    return value


def _range(name: str, value: Any) -> Range:
    bounds = value if isinstance(value, list) else [value, value]
    if len(bounds) != 2:
        raise Refusal(name, 'give a size, or the least and the most')
    low, high = (_pixels(name, bound) for bound in bounds)
    if low > high:
        raise Refusal(name, f'give the least size before the most, not {low} before {high}')
    return Range(low, high)


def _screen(name: str, value: Any) -> tuple[Range, Range]:
    if not isinstance(value, dict) or set(value) != {'width', 'height'}:
        raise Refusal(name, 'give width and height, each a size or a pair of the least and the most')
    return _range(name, value['width']), _range(name, value['height'])


def _webgl(name: str, value: Any) -> tuple[str, str]:
    if not isinstance(value, dict) or set(value) != {'vendor', 'renderer'}:
        raise Refusal(name, 'give vendor and renderer')
    return _text(name, value['vendor']), _text(name, value['renderer'])


def _number(name: str, value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise Refusal(name, f'give a number from {low:g} to {high:g}')
    return float(value)


def _geolocation(name: str, value: Any) -> dict[str, float]:
    bounds = {'latitude': 90.0, 'longitude': 180.0}
    if not isinstance(value, dict) or set(value) != {*bounds, 'accuracy'}:
        raise Refusal(name, 'give latitude, longitude and accuracy')
    place = {key: _number(name, value[key], -bound, bound) for key, bound in bounds.items()}
    return {**place, 'accuracy': _number(name, value['accuracy'], 0, 100_000)}


def _timezone(name: str, value: Any) -> str:
    if not re.fullmatch(r'[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+)*', _text(name, value)):
        raise Refusal(name, 'give a name of the IANA database, such as Europe/Vienna')
    return value


def _switch(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Refusal(name, 'give true or false')
    return value


def _humanize(name: str, value: Any) -> bool | float:
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and 0 < value <= LONGEST_MOVEMENT:
        return float(value)
    raise Refusal(name, f'give true or false, or the longest time of a movement, up to {LONGEST_MOVEMENT:g} seconds')


READERS: dict[str, Callable[[str, Any], Any]] = {
    'executable': _executable,
    'seed': _seed,
    'os': _systems,
    'screen': _screen,
    'maximised': _switch,
    'webgl': _webgl,
    'fonts': _texts(MOST_FONTS),
    'locale': _texts(MOST_LANGUAGES),
    'timezone': _timezone,
    'geolocation': _geolocation,
    'humanize': _humanize,
    'block_images': _switch,
    'block_webrtc': _switch,
    'main_world_eval': _switch,
    'lenient': _switch,
}
