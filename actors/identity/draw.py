"""Draws one identity with Camoufox's own library, and freezes it.

The result is a machine: everything that a launch needs, and nothing of it names a place of this host, so that a profile
can be opened elsewhere. README.md describes its fields.
"""

import difflib
import hashlib
import json
import random
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any, Optional

import numpy
import orjson

from camoufox import DefaultAddons, browser_pin, coherence, fingerprints, launch_options, webgl
from camoufox.exceptions import InvalidLocale
from camoufox.utils import _load_properties, get_target_os

from constraints import SYSTEMS, Constraints, Refusal, read

# The version of the machine's document.
DOCUMENT = 1
# Stands in a machine for the directory of the browser.
INSTALLATION = '@camoufox@'
# The nodes of a fingerprint that the library reads. The rest is megabytes, and would only be stored.
READ_NODES = ('navigator', 'screen', 'window', 'headers')
# fpgen's names of the systems, and the library's.
MODEL_NAMES = {'windows': 'Windows', 'macos': 'macOS', 'linux': 'Linux'}
SHORT_NAMES = {'windows': 'win', 'macos': 'mac', 'linux': 'lin'}
# Inert since Camoufox 152, and a sign of a spoofed browser before.
NEVER = frozenset({'canvas:seed'})
# How often a machine is drawn again that the library can't make coherent. What a constraint asks for may contradict
# itself, such as an upright screen; the least contradictory one is taken then.
MOST_ATTEMPTS = 8
# How many names an error suggests.
MOST_SUGGESTIONS = 5

_pin = browser_pin.load_pin()
# The build that the library was released with.
PAIRED_BUILD: Optional[str] = _pin.spec if _pin else None


def prepare() -> None:
    """Loads the model, which takes a second: no launch has to wait for it."""
    warnings.simplefilter('ignore')
    fingerprints._generator()


def draw(given: Any) -> dict[str, Any]:
    """Draws a machine under constraints. Raises Refusal, or an error of the library."""
    constraints = read(given)
    systems = _possible_systems(constraints)
    best: dict[str, Any] = {}
    try:
        for attempt in range(MOST_ATTEMPTS):
            # fpgen and numpy draw with their modules' generators, which therefore belong to one draw at a time.
            digest = hashlib.sha256(f'{constraints.seed}\0{attempt}'.encode()).digest()
            random.seed(digest)
            numpy.random.seed(numpy.frombuffer(digest, dtype=numpy.uint32))
            machine = _draw(constraints, systems)
            contradictions = machine['summary']['contradictions']
            if not best or len(contradictions) < len(best['summary']['contradictions']):
                best = machine
            if not contradictions:
                break
    except InvalidLocale as error:
        raise Refusal('locale', f'{error}; give language and region, such as de-AT') from error
    finally:
        random.seed()
        numpy.random.seed()
    return best


def _possible_systems(constraints: Constraints) -> tuple[str, ...]:
    """The systems that can have the constraints' GPU and fonts."""
    systems = constraints.systems
    if constraints.webgl:
        pairs = {system: webgl.firefox_gpus(SHORT_NAMES[system]) for system in systems}
        systems = tuple(system for system in systems if constraints.webgl in pairs[system])
        if not systems:
            wanted = ' · '.join(constraints.webgl)
            names = sorted({' · '.join(pair) for known in pairs.values() for pair in known})
            similar = difflib.get_close_matches(wanted, names, MOST_SUGGESTIONS, 0) or names[:MOST_SUGGESTIONS]
            where = ' or '.join(constraints.systems)
            raise Refusal('webgl', f'no Firefox on {where} was seen with {wanted}; some that were: {"; ".join(similar)}')
    for font in constraints.fonts:
        everywhere = tuple(system for system in SYSTEMS if font in _fonts_of(system))
        having = tuple(system for system in systems if system in everywhere)
        if not everywhere:
            raise Refusal('fonts', f'{font!r} is no font that Camoufox has; leave it out')
        if not having and not constraints.lenient:
            reason = f'{font!r} is a font of {" and ".join(everywhere)}, not of {" or ".join(systems)}'
            other = 'ask for another os' if constraints.systems != SYSTEMS else 'leave out what excludes it'
            raise Refusal('fonts', f'{reason}; leave it out, {other}, or set "coherence": "warn"')
        systems = having or systems
    return systems


def _left_out(constraints: Constraints, system: str) -> list[dict[str, str]]:
    """The fonts that the constraints name and the system does not have, as a contradiction of the two."""
    fonts = ', '.join(font for font in constraints.fonts if font not in _fonts_of(system))
    if not fonts:
        return []
    detail = f'fonts: {fonts} left out, because {system} does not have them'
    return [{'field': 'fonts', 'value': fonts, 'against': 'os', 'fact': system, 'detail': detail}]


def _fonts_of(system: str) -> frozenset[str]:
    return frozenset(fingerprints._load_os_fonts()[SHORT_NAMES[system]])


def _draw(constraints: Constraints, systems: tuple[str, ...]) -> dict[str, Any]:
    fingerprint = _fingerprint(constraints, systems)
    geometry: dict[str, int] = {}
    built = _launch_options(constraints, fingerprint, geometry)
    config = _config(built)
    if constraints.width and (config.get('screen.width'), config.get('screen.height')) != _size(fingerprint):
        # The library lifts small screens to a size that is common today, and turns upright ones. A browser whose screen
        # is given has that one: its display is that large.
        geometry = _geometry(fingerprint)
        built = _launch_options(constraints, fingerprint, geometry)
    if constraints.fonts:
        # The library takes them instead of those that it draws, without which no system is.
        having = _fonts_of(_system_of(fingerprint))
        fonts = list(dict.fromkeys([*config['fonts'], *(font for font in constraints.fonts if font in having)]))
        built = _launch_options(constraints, fingerprint, geometry, fonts)
    config = _config(built)
    return _machine(constraints, built, config)


def _fingerprint(constraints: Constraints, systems: tuple[str, ...]) -> dict[str, Any]:
    """Draws a fingerprint with fpgen."""
    width, height = constraints.width, constraints.height
    # fpgen takes names in any case, so these are not the library's own parameters of the same names: its predicate for
    # several systems compares names in their own case with fpgen's, which are in lower case, and it makes two conditions
    # of a screen, of which fpgen keeps the last, as both are for parts of one node.
    conditions: dict[str, Any] = {'OS': tuple(MODEL_NAMES[system] for system in systems)}
    if width and height:
        conditions['Screen'] = lambda screen: (
            isinstance(screen, dict) and _within(width, screen.get('width')) and _within(height, screen.get('height'))
        )
    try:
        drawn = fingerprints.generate_fingerprint(**conditions)
    except Exception as error:
        # fpgen's exceptions can only be imported with its model.
        if 'Screen' not in conditions or type(error).__name__ not in ('InvalidConstraints', 'RestrictiveConstraints'):
            raise
        del conditions['Screen']
        drawn = fingerprints.generate_fingerprint(**conditions)
    fingerprint = {name: drawn[name] for name in READ_NODES if name in drawn}
    # A number of fingerprints are common, and the library derives fonts, voices, devices and noise from their contents:
    # the seed, which it does not read, makes them those of one machine.
    fingerprint['camofleet'] = {'seed': constraints.seed}
    if width and height:
        _resize(fingerprint, width.clamp(_size(fingerprint)[0] or 0), height.clamp(_size(fingerprint)[1] or 0))
    if constraints.maximised:
        _maximise(fingerprint)
    return fingerprint


def _within(bounds: Any, value: Any) -> bool:
    return isinstance(value, int) and bounds.low <= value <= bounds.high


def _size(fingerprint: dict[str, Any]) -> tuple[Any, Any]:
    screen = fingerprint.get('screen') or {}
    return screen.get('width'), screen.get('height')


def _resize(fingerprint: dict[str, Any], width: int, height: int) -> None:
    """Gives a fingerprint another screen, with the same task bar; the library fits the window into it."""
    screen = fingerprint.setdefault('screen', {})
    for size, available, value in (('width', 'availWidth', width), ('height', 'availHeight', height)):
        before = screen.get(size)
        if before == value:
            continue
        taken = max(0, before - screen[available]) if before and screen.get(available) else 0
        screen[size] = value
        screen[available] = max(1, value - min(taken, value // 4))


def _maximise(fingerprint: dict[str, Any]) -> None:
    """Makes the window cover what the screen has free."""
    screen, window = fingerprint.get('screen') or {}, fingerprint.setdefault('window', {})
    for side, size in (('outerWidth', 'Width'), ('outerHeight', 'Height')):
        window[side] = screen.get(f'avail{size}') or screen.get(size.lower())
    window['screenX'], window['screenY'] = max(0, screen.get('availLeft') or 0), max(0, screen.get('availTop') or 0)


def _geometry(fingerprint: dict[str, Any]) -> dict[str, int]:
    """The fingerprint's screen and window as settings that the library leaves as they are."""
    screen, window = fingerprint.get('screen') or {}, fingerprint.get('window') or {}
    names = {'screen': (screen, ('width', 'height', 'availWidth', 'availHeight', 'availLeft', 'availTop')),
             'window': (window, ('outerWidth', 'outerHeight', 'screenX', 'screenY'))}
    return {
        f'{node}.{name}': max(0, values[name])
        for node, (values, parts) in names.items()
        for name in parts
        if isinstance(values.get(name), int)
    }


def _launch_options(
    constraints: Constraints, fingerprint: dict[str, Any], config: dict[str, Any], fonts: Optional[list[str]] = None
) -> dict[str, Any]:
    """What the library launches the browser with."""
    config = dict(config)
    if constraints.timezone:
        config['timezone'] = constraints.timezone
    for name, value in (constraints.geolocation or {}).items():
        config[f'geolocation:{name}'] = value
    system = _system_of(fingerprint)
    return launch_options(
        config=config,
        executable_path=str(constraints.executable),
        # A copy, because the library changes it.
        fingerprint=json.loads(json.dumps(fingerprint)),
        os=system,
        webgl_config=constraints.webgl,
        fonts=fonts,
        locale=list(constraints.locale) or None,
        humanize=constraints.humanize or None,
        block_images=constraints.block_images,
        block_webrtc=constraints.block_webrtc,
        main_world_eval=constraints.main_world_eval,
        # Otherwise the library would fetch uBlock Origin.
        exclude_addons=list(DefaultAddons),
        # camofleet decides where the window is; nothing of this host's environment belongs to the identity.
        headless=False,
        env={'HOME': str(Path.home())},
        # It only warns otherwise.
        i_know_what_im_doing=True,
    )


def _system_of(fingerprint: dict[str, Any]) -> str:
    agent = (fingerprint.get('navigator') or {}).get('userAgent') or ''
    short = get_target_os({'navigator.userAgent': agent})
    return next(name for name in SYSTEMS if SHORT_NAMES[name] == short)


def _chunks(env: dict[str, Any], prefix: str) -> str:
    names = (name for name in env if name.startswith(prefix))
    return ''.join(env[name] for name in sorted(names, key=lambda name: int(name.removeprefix(prefix))))


def _config(built: dict[str, Any]) -> dict[str, Any]:
    return orjson.loads(_chunks(built['env'], 'CAMOU_CONFIG_'))


def _machine(constraints: Constraints, built: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    text = _chunks(built['env'], 'CAMOU_CONFIG_')
    properties = _load_properties(path=constraints.executable)
    inert = [name for name in config if name in NEVER or 'removed' in properties.get(name, {})]
    if inert:
        for name in inert:
            del config[name]
        text = orjson.dumps(config).decode()
    installation = str(constraints.executable.parent)
    summary = _summary(config)
    return {
        'version': DOCUMENT,
        'library': version('camoufox'),
        'browser': _build_of(constraints.executable),
        'seed': constraints.seed,
        'config': text,
        'preferences': built['firefox_user_prefs'],
        'arguments': built['args'],
        'fontconfig': Path(built['env']['FONTCONFIG_FILE']).read_text(encoding='utf-8').replace(installation, INSTALLATION),
        'left_out': _left_out(constraints, summary['os']),
        'summary': summary,
    }


def _build_of(executable: Path) -> str:
    """The version and the build of an installation, as camofleet reads them."""
    try:
        given = orjson.loads((executable.parent / 'version.json').read_bytes())
    except (OSError, orjson.JSONDecodeError):
        given = {}
    parts = (given.get('version'), given.get('build') or given.get('release'))
    return '-'.join(part for part in parts if part) or 'unknown'


def _summary(config: dict[str, Any]) -> dict[str, Any]:
    """What people are shown of it."""
    language = '-'.join(config[name] for name in ('locale:language', 'locale:script', 'locale:region') if config.get(name))
    place = {name: config.get(f'geolocation:{name}') for name in ('latitude', 'longitude', 'accuracy')}
    size = {name: config.get(name) for name in ('screen.width', 'screen.height', 'window.outerWidth', 'window.outerHeight')}
    short = get_target_os(config)
    return {
        'os': next(name for name in SYSTEMS if SHORT_NAMES[name] == short),
        'user_agent': config.get('navigator.userAgent'),
        'platform': config.get('navigator.platform'),
        'cores': config.get('navigator.hardwareConcurrency'),
        'screen': {'width': size['screen.width'], 'height': size['screen.height']},
        'window': {
            'x': config.get('window.screenX') or 0,
            'y': config.get('window.screenY') or 0,
            'width': size['window.outerWidth'] or size['screen.width'],
            'height': size['window.outerHeight'] or size['screen.height'],
        },
        'webgl': {'vendor': config.get('webGl:vendor'), 'renderer': config.get('webGl:renderer')},
        'locale': config.get('locale:all') or language or 'en-US',
        'timezone': config.get('timezone'),
        'geolocation': place if place['latitude'] is not None else None,
        'fonts': len(config.get('fonts') or []),
        'voices': len(config.get('voices') or []),
        'contradictions': [violation.detail for violation in coherence.validate(config, short)],
    }
