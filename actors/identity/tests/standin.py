"""What the library needs of a Camoufox and of fpgen's model, without their binaries: for tests.

    standin.py DIRECTORY     writes DIRECTORY/camoufox (an installation without a browser) and DIRECTORY/site (for
                             PYTHONPATH: fpgen with a small model); prints the environment that both need, as JSON
"""

import base64
import importlib.util
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

VERSION, BUILD = '156.0.1', 'beta.36'

# The keys that the library sets, and one of each kind that it must not.
PROPERTIES = {
    'str': 'navigator.userAgent navigator.appVersion navigator.oscpu navigator.platform headers.Accept-Encoding webGl:renderer '
    'webGl:vendor timezone locale:language locale:region locale:script locale:all',
    'uint': 'navigator.hardwareConcurrency navigator.maxTouchPoints screen.availHeight screen.availWidth screen.availTop '
    'screen.availLeft screen.height screen.width screen.colorDepth screen.pixelDepth window.outerHeight window.outerWidth '
    'window.innerHeight window.innerWidth audio:seed mediaDevices:micros mediaDevices:webcams mediaDevices:speakers',
    'int': 'window.screenX window.screenY',
    'double': 'geolocation:latitude geolocation:longitude geolocation:accuracy humanize:maxTime window.devicePixelRatio',
    'bool': 'humanize allowMainWorld voices:blockIfNotDefined mediaDevices:enabled allowAddonNewtab',
    'array': 'fonts addons voices webGl:supportedExtensions webGl2:supportedExtensions mediaDevices:microphoneLabels '
    'mediaDevices:microphoneGroups mediaDevices:webcamLabels mediaDevices:webcamGroups mediaDevices:speakerLabels '
    'mediaDevices:speakerGroups',
    'dict': 'webGl:parameters webGl2:parameters webGl:shaderPrecisionFormats webGl2:shaderPrecisionFormats '
    'webGl:contextAttributes webGl2:contextAttributes',
}
REMOVED = {'canvas:seed': '152', 'canvas:aaOffset': '152'}

FONTCONFIG = '<?xml version="1.0"?>\n<fontconfig>\n\t<dir prefix="cwd">fonts</dir>\n\t<!-- {system} -->\n</fontconfig>\n'

# Per system: the user agent's parts, and machines with their screens and GPUs.
AGENTS = {
    'Windows': ('Windows NT 10.0; Win64; x64', '5.0 (Windows)', 'Win32', 'Windows NT 10.0; Win64; x64'),
    'macOS': ('Macintosh; Intel Mac OS X 10.15', '5.0 (Macintosh)', 'MacIntel', 'Intel Mac OS X 10.15'),
    'Linux': ('X11; Linux x86_64', '5.0 (X11)', 'Linux x86_64', 'Linux x86_64'),
}
SCREENS = {
    'Windows': [(1920, 1080, 1040, 0), (2560, 1440, 1392, 0), (1366, 768, 728, 0)],
    'macOS': [(1920, 1080, 1055, 25), (2560, 1440, 1415, 25)],
    'Linux': [(1920, 1080, 1053, 27), (2560, 1440, 1413, 27)],
}
GPUS = {
    'Windows': [
        ('Google Inc. (Intel)', 'ANGLE (Intel, Intel(R) HD Graphics Direct3D11 vs_5_0 ps_5_0), or similar'),
        ('Google Inc. (NVIDIA)', 'ANGLE (NVIDIA, NVIDIA GeForce GTX 980 Direct3D11 vs_5_0 ps_5_0), or similar'),
    ],
    'macOS': [('Apple', 'Apple M1, or similar')],
    'Linux': [('Intel', 'Intel(R) HD Graphics, or similar'), ('AMD', 'Radeon HD 3200 Graphics, or similar')],
}


class Values:
    """The model's values, each stored once and named by its number."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def name(self, value: Any) -> str:
        """The name of a value."""
        number = self.numbers.setdefault(json.dumps(value, separators=(',', ':'), ensure_ascii=False), len(self.numbers))
        return base64.b85encode(number.to_bytes(2, 'big')).decode()

    def write(self, directory: Path) -> None:
        """Writes the values and their places. The reader keys places by their offsets, so these have to be different."""
        data, places = b'', {}
        for text in self.numbers:
            encoded = text.encode()
            places[f'{len(data):x}'] = len(encoded)
            data += encoded
        (directory / 'values.json').write_text(json.dumps(places))
        (directory / 'values.dat').write_bytes(data)


def navigators(system: str) -> list[dict[str, Any]]:
    """The navigators of a system."""
    agent, version, platform, oscpu = AGENTS[system]
    return [
        {
            'userAgent': f'Mozilla/5.0 ({agent}; rv:{major}.0) Gecko/20100101 Firefox/{major}.0',
            'appVersion': version,
            'platform': platform,
            'oscpu': oscpu,
            'hardwareConcurrency': cores,
            'maxTouchPoints': 0,
        }
        for major, cores in ((150, 8), (151, 12), (152, 16))
    ]


def screens(system: str) -> list[dict[str, Any]]:
    """The screens of a system."""
    depth = 30 if system == 'macOS' else 24
    return [
        {'width': width, 'height': height, 'availWidth': width, 'availHeight': available, 'availLeft': 0, 'availTop': top,
         'colorDepth': depth, 'pixelDepth': depth}
        for width, height, available, top in SCREENS[system]
    ]


def context(vendor: str, renderer: str, level: int) -> dict[str, Any]:
    """A WebGL context of a GPU."""
    return {
        'vendor': vendor,
        'renderer': renderer,
        'contextAttributes': {'alpha': True, 'antialias': True, 'depth': True},
        'supportedExtensions': ['ANGLE_instanced_arrays', 'EXT_blend_minmax', 'WEBGL_debug_renderer_info', 'WEBGL_multi_draw'],
        'params': {'3379': {'value': 8192 * level}, '7938': {'value': f'WebGL {level}.0'}},
        'shaderPrecisionFormats': [
            {'shaderType': 35633, 'precisionType': 36338, 'shaderPrecisionFormat': {'rangeMin': 127, 'rangeMax': 127, 'precision': 23}}
        ],
    }


def even(names: Iterable[str]) -> dict[str, float]:
    """The same probability for each name."""
    names = list(names)
    return {name: 1 / len(names) for name in names}


def write_model(directory: Path) -> None:
    """Writes a model with the nodes that the library reads."""
    directory.mkdir(parents=True)
    values = Values()
    firefox = values.name('Firefox')
    systems = {system: values.name(system) for system in AGENTS}
    nodes: list[dict[str, Any]] = []

    def node(name: str, parents: list[str], probabilities: dict[str, Any], possible: Iterable[str]) -> None:
        nodes.append({'name': name, 'parentNames': parents, 'possibleValues': list(dict.fromkeys(possible)),
                      'conditionalProbabilities': probabilities})

    def of_system(name: str, drawn: dict[str, list[Any]]) -> dict[str, list[str]]:
        named = {systems[system]: [values.name(value) for value in drawn[system]] for system in AGENTS}
        node(name, ['os'], {system: even(names) for system, names in named.items()}, (n for names in named.values() for n in names))
        return named

    node('browser', [], {firefox: 1.0}, [firefox])
    node('os', ['browser'], {firefox: {systems['Windows']: 0.6, systems['macOS']: 0.2, systems['Linux']: 0.2}}, systems.values())
    of_system('navigator', {system: navigators(system) for system in AGENTS})
    of_system('screen', {system: screens(system) for system in AGENTS})
    window = {'outerWidth': 1280, 'outerHeight': 700, 'innerWidth': 1280, 'innerHeight': 614, 'screenX': 60, 'screenY': 30}
    of_system('window', {system: [window, {**window, 'screenX': 0, 'screenY': 0}] for system in AGENTS})
    of_system('headers', {system: [{'accept-encoding': ['gzip, deflate, br, zstd']}] for system in AGENTS})
    pairs = of_system('gpu', {system: [dict(zip(('vendor', 'renderer'), pair)) for pair in GPUS[system]] for system in AGENTS})
    gpus = {values.name(dict(zip(('vendor', 'renderer'), pair))): pair for known in GPUS.values() for pair in known}
    first = {gpu: values.name(context(*pair, 1)) for gpu, pair in gpus.items()}
    second = {gpu: values.name(context(*pair, 2)) for gpu, pair in gpus.items()}
    assert {name for names in pairs.values() for name in names} == set(gpus)
    node('webgl', ['gpu'], {gpu: {name: 1.0} for gpu, name in first.items()}, first.values())
    node('webgl2', ['gpu', 'webgl'], {gpu: {first[gpu]: {name: 1.0}} for gpu, name in second.items()}, second.values())
    (directory / 'fingerprint-network.json').write_text(json.dumps({'nodes': nodes}))
    values.write(directory)


def write_site(directory: Path) -> None:
    """Makes a directory for PYTHONPATH with fpgen and the small model; the installed one stays as it is."""
    spec = importlib.util.find_spec('fpgen')
    assert spec and spec.origin, 'fpgen is not installed'
    package = directory / 'fpgen'
    package.mkdir(parents=True)
    for source in Path(spec.origin).parent.glob('*.py'):
        (package / source.name).symlink_to(source)
    write_model(package / 'data')


def write_installation(directory: Path, version: str = VERSION, build: str = BUILD) -> Path:
    """Writes what the library reads of an installation, and returns the path of its executable, which is empty."""
    directory.mkdir(parents=True)
    properties: list[dict[str, str]] = [
        {'property': name, 'type': kind} for kind, names in PROPERTIES.items() for name in names.split()
    ]
    properties += [{'property': name, 'type': 'uint', 'removed': since} for name, since in REMOVED.items()]
    (directory / 'properties.json').write_text(json.dumps(properties))
    (directory / 'application.ini').write_text(f'[App]\nVendor=Camoufox\nName=Camoufox\nVersion={version}\n')
    (directory / 'version.json').write_text(json.dumps({'version': version, 'build': build}))
    for system in ('windows', 'macos', 'linux'):
        fonts = directory / 'fontconfig' / system
        fonts.mkdir(parents=True)
        (fonts / 'fonts.conf').write_text(FONTCONFIG.format(system=system))
        (directory / 'fonts' / system).mkdir(parents=True)
    executable = directory / 'camoufox-bin'
    executable.touch(mode=0o755)
    return executable


def write(directory: Path) -> dict[str, str]:
    """Writes both, and returns the environment that a maker with the small model needs."""
    write_installation(directory / 'camoufox')
    write_site(directory / 'site')
    # Any value keeps the library from replacing the model by the pinned one.
    return {'PYTHONPATH': str(directory / 'site'), 'FPGEN_MODEL_URL': 'none'}


if __name__ == '__main__':
    print(json.dumps(write(Path(sys.argv[1]).absolute())))
