"""The maker as a process, with the real library, a small model and an installation without a browser."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, Optional

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import standin  # noqa: E402

MAKER = HERE.parent / 'maker.py'


class Maker:
    """A running maker."""

    def __init__(self, directory: Path, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, '-B', str(MAKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Nothing of this test's own environment.
            env={'PATH': os.environ['PATH'], 'HOME': str(directory), 'PYTHONHASHSEED': '0', **env},
        )
        self.last = 0

    def ask(self, command: Any) -> dict[str, Any]:
        """Sends a line, and returns the next event."""
        assert self.process.stdin
        line = command if isinstance(command, bytes) else json.dumps(command).encode()
        self.process.stdin.write(line + b'\n')
        self.process.stdin.flush()
        return self.event()

    def event(self) -> dict[str, Any]:
        """The next event."""
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def draw(self, **constraints: Any) -> dict[str, Any]:
        """Requests a draw, and returns its event."""
        self.last += 1
        event = self.ask({'type': 'draw', 'request': str(self.last), 'constraints': constraints})
        assert event.get('request') == str(self.last), event
        return event

    def close(self) -> tuple[int, str]:
        """Closes its input. Returns its exit status, and what it printed to standard error."""
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors.decode()


class WithStandIn(unittest.TestCase):
    """A maker with a small model, shared by the tests of a class."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.scratch = tempfile.TemporaryDirectory(prefix='camofleet-identity-')
        cls.directory = Path(cls.scratch.name)
        cls.env = standin.write(cls.directory)
        cls.executable = str(cls.directory / 'camoufox/camoufox-bin')
        cls.maker = Maker(cls.directory, cls.env)
        cls.hello = cls.maker.event()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.maker.close()
        cls.scratch.cleanup()

    def draw(self, seed: str = 'a', **constraints: Any) -> dict[str, Any]:
        """Draws a machine."""
        event = self.maker.draw(executable=self.executable, seed=seed, **constraints)
        self.assertEqual(event['type'], 'drawn', event)
        return event['machine']

    def config(self, seed: str = 'a', **constraints: Any) -> dict[str, Any]:
        """Draws a machine, and returns the library's config."""
        return json.loads(self.draw(seed, **constraints)['config'])

    def refuse(self, name: str, value: Any, **constraints: Any) -> str:
        """Draws what is refused because of one field, and returns the reason."""
        event = self.maker.draw(**{'executable': self.executable, 'seed': 'a', **constraints, name: value})
        self.assertEqual((event['type'], event.get('field')), ('refused', name), event)
        return event['reason']


class Drawing(WithStandIn):
    """What is drawn."""

    def test_says_which_versions_it_has_and_answers_pings(self) -> None:
        self.assertEqual(self.hello['type'], 'hello')
        self.assertRegex(self.hello['camoufox'], r'^\d+\.\d+\.\d+$')
        self.assertRegex(self.hello['browser'], r'^\d+\.\d+(\.\d+)?-\w+\.\d+$')
        self.assertEqual(self.maker.ask({'type': 'ping'}), {'type': 'pong'})

    def test_the_same_seed_is_the_same_machine_also_in_another_process_and_no_two_others_are_alike(self) -> None:
        constraints = {'locale': ['de-AT', 'de'], 'timezone': 'Europe/Vienna', 'os': ['windows', 'linux']}
        first = self.draw('one', **constraints)
        others = [self.draw(str(number), **constraints) for number in range(40)]
        self.assertEqual(self.draw('one', **constraints), first)
        other = Maker(self.directory, {**self.env, 'PYTHONHASHSEED': '7'})
        other.event()
        again = other.draw(executable=self.executable, seed='one', **constraints)
        other.close()
        self.assertEqual(again['machine'], first)
        configs = {machine['config'] for machine in [first, *others]}
        self.assertEqual(len(configs), 41)
        noise = {json.loads(config)['audio:seed'] for config in configs}
        self.assertEqual(len(noise), 41, 'also where the model draws the same computer')

    def test_the_system_is_one_of_the_requested_ones(self) -> None:
        platforms = {'windows': 'Win32', 'macos': 'MacIntel', 'linux': 'Linux x86_64'}
        for system, platform in platforms.items():
            machine = self.draw(os=system)
            config = json.loads(machine['config'])
            self.assertEqual((machine['summary']['os'], config['navigator.platform']), (system, platform))
            self.assertIn(f'@camoufox@/fonts/{system}', machine['fontconfig'])
        drawn = {self.draw(str(number), os=['macos', 'linux'])['summary']['os'] for number in range(30)}
        self.assertEqual(drawn, {'macos', 'linux'})
        self.assertEqual({self.draw(str(number))['summary']['os'] for number in range(60)}, set(platforms))

    def test_a_machine_names_no_place_of_this_host_and_nothing_inert(self) -> None:
        machine = self.draw(seed='b')
        self.assertNotIn(str(self.directory), json.dumps(machine))
        config = json.loads(machine['config'])
        self.assertEqual(set(config) & set(standin.REMOVED), set())
        self.assertNotIn('addons', config)
        self.assertEqual(machine['browser'], f'{standin.VERSION}-{standin.BUILD}')
        self.assertIn('Firefox/156.0', config['navigator.userAgent'])

    def test_the_screen_is_as_large_as_requested_and_the_window_covers_what_it_has_free(self) -> None:
        # Those that the model has, an odd one, one below the library's floor, and an upright one.
        for width, height in ((1920, 1080), (1366, 768), (1601, 907), (1024, 600), (900, 1600)):
            for seed in 'abc':
                config = self.config(seed, screen={'width': width, 'height': height}, maximised=True)
                size = config['screen.width'], config['screen.height']
                self.assertEqual(size, (width, height))
                free = config['screen.availWidth'], config['screen.availHeight']
                window = config['window.outerWidth'], config['window.outerHeight']
                self.assertEqual(window, free)
                self.assertLess(free[1], height, 'there is a task bar')
                self.assertLessEqual(config['window.screenY'] + window[1], height)

    def test_a_machine_that_contradicts_itself_is_drawn_again(self) -> None:
        self.assertEqual([self.draw(str(seed))['summary']['contradictions'] for seed in range(20)], [[]] * 20)
        upright = self.draw(screen={'width': 900, 'height': 1600})['summary']['contradictions']
        self.assertRegex(upright[0], 'portrait')

    def test_a_range_of_screens_is_kept(self) -> None:
        seen = set()
        for seed in range(20):
            config = self.config(str(seed), screen={'width': [1900, 2600], 'height': [1000, 1500]})
            seen.add((config['screen.width'], config['screen.height']))
        self.assertEqual(seen, {(1920, 1080), (2560, 1440)})
        config = self.config(screen={'width': [3000, 3100], 'height': [1700, 1800]})
        self.assertEqual((config['screen.width'], config['screen.height']), (3000, 1700))

    def test_locale_time_zone_and_place_are_the_requested_ones(self) -> None:
        machine = self.draw(locale=['fr-CA', 'fr'], timezone='America/Toronto',
                            geolocation={'latitude': 43.7, 'longitude': -79, 'accuracy': 20})
        config = json.loads(machine['config'])
        self.assertEqual((config['locale:language'], config['locale:region'], config['locale:all']), ('fr', 'CA', 'fr-CA, fr'))
        self.assertEqual(config['timezone'], 'America/Toronto')
        # Numbers with a fraction have to stay such in JSON: the browser reads no others.
        self.assertIn('"geolocation:longitude":-79.0', machine['config'])
        self.assertEqual(machine['preferences']['permissions.default.geo'], 1)
        self.assertRegex(machine['preferences']['intl.locale.requested'], '^fr-.*CA$')
        self.assertEqual(machine['summary']['timezone'], 'America/Toronto')
        self.assertIn('en-US', self.draw()['preferences']['intl.locale.requested'])
        self.config(locale=['zh-Hant-TW', 'zh'])

    def test_a_gpu_decides_the_system_that_can_have_it(self) -> None:
        vendor, renderer = standin.GPUS['macOS'][0]
        machine = self.draw(webgl={'vendor': vendor, 'renderer': renderer})
        config = json.loads(machine['config'])
        self.assertEqual((config['webGl:renderer'], machine['summary']['os']), (renderer, 'macos'))

    def test_fonts_come_in_addition_to_those_of_the_system(self) -> None:
        without = self.config(os='windows')['fonts']
        extra = next(font for font in ('Fira Code', 'Roboto', 'Lato', 'Inter') if font not in without)
        having = self.config(os='windows', fonts=[extra])['fonts']
        self.assertEqual(having, [*without, extra])

    def test_fonts_of_another_system_are_left_out_and_named_where_that_is_wanted(self) -> None:
        without = self.config(os='linux')['fonts']
        machine = self.draw(os='linux', fonts=['Segoe UI', 'Marlett', without[0]], lenient=True)
        self.assertEqual(json.loads(machine['config'])['fonts'], without)
        [contradiction] = machine['left_out']
        named = {name: contradiction[name] for name in ('field', 'value', 'against', 'fact')}
        self.assertEqual(named, {'field': 'fonts', 'value': 'Segoe UI, Marlett', 'against': 'os', 'fact': 'linux'})
        # The first font decides between systems that exclude each other.
        both = self.draw(fonts=['Segoe UI', 'Helvetica Neue'], lenient=True)
        self.assertEqual((both['summary']['os'], both['left_out'][0]['value']), ('windows', 'Helvetica Neue'))
        self.assertEqual(self.draw(os='windows', fonts=['Segoe UI'], lenient=True)['left_out'], [])

    def test_the_other_options_reach_the_browser(self) -> None:
        machine = self.draw(humanize=1.5, main_world_eval=True, block_images=True, block_webrtc=True)
        config = json.loads(machine['config'])
        self.assertEqual((config['humanize'], config['humanize:maxTime'], config['allowMainWorld']), (True, 1.5, True))
        self.assertEqual(machine['preferences']['permissions.default.image'], 2)
        self.assertIs(machine['preferences']['media.peerconnection.enabled'], False)
        plain = self.config()
        self.assertEqual({'humanize', 'allowMainWorld'} & set(plain), set())
        self.assertNotIn('humanize:maxTime', self.config(humanize=True))


class Refusing(WithStandIn):
    """What is refused, with the field and the remedy."""

    def test_each_field_is_checked(self) -> None:
        for name, value, expected in (
            ('os', 'beos', 'windows, macos, linux'),
            ('os', [], 'list of 1 to 3'),
            ('screen', {'width': 100, 'height': 100}, '320 to 16384'),
            ('screen', {'width': 1920}, 'width and height'),
            ('screen', {'width': [2000, 1000], 'height': 900}, 'least size before the most'),
            ('webgl', {'vendor': 'Intel'}, 'vendor and renderer'),
            ('webgl', {'vendor': 'Intel', 'renderer': 'Voodoo 2'}, 'some that were: .*Intel'),
            ('fonts', ['Comic Neue Nope'], 'no font that Camoufox has; leave it out'),
            ('lenient', 'warn', 'true or false'),
            ('fonts', 'x' * 300, '1 to 200 printable'),
            ('locale', ['xx-QQ'], 'language and region'),
            ('locale', 7, 'list of 1 to 8'),
            ('timezone', '../etc/passwd', 'IANA'),
            ('geolocation', {'latitude': 91, 'longitude': 0, 'accuracy': 1}, '-90 to 90'),
            ('humanize', 0, 'up to 30 seconds'),
            ('humanize', 'yes', 'up to 30 seconds'),
            ('block_images', 1, 'true or false'),
            ('seed', '', '1 to 64'),
            ('seed', 'x' * 65, '1 to 64'),
            ('executable', '/nowhere/camoufox-bin', 'not the path of a file'),
            ('magic', 1, 'there is no such constraint'),
        ):
            with self.subTest(name=name, value=value):
                self.assertRegex(self.refuse(name, value), expected)

    def test_a_gpu_and_a_system_that_exclude_each_other_are_refused(self) -> None:
        vendor, renderer = standin.GPUS['macOS'][0]
        reason = self.refuse('webgl', {'vendor': vendor, 'renderer': renderer}, os='windows')
        self.assertRegex(reason, 'no Firefox on windows .*NVIDIA')

    def test_a_font_of_another_system_is_refused(self) -> None:
        reason = self.refuse('fonts', ['Segoe UI'], os='linux')
        self.assertRegex(reason, "'Segoe UI' is a font of windows, not of linux; .*another os.*warn")
        self.assertRegex(self.refuse('fonts', ['Segoe UI', 'Helvetica Neue']), 'of macos, not of windows')
        self.assertRegex(self.refuse('fonts', ['Comic Neue Nope'], lenient=True), 'no font')

    def test_what_is_no_command_is_answered_and_nothing_ends(self) -> None:
        for line in (b'{"type":', b'7', b'\xff\xfe', b'{"type":"dance"}', b'{"type":"draw"}', b'{"type":"draw","request":7}'):
            self.assertEqual(self.maker.ask(line)['type'], 'invalid', line)
        self.assertEqual(self.maker.ask({'type': 'draw', 'request': '1', 'constraints': 7})['type'], 'refused')
        self.assertEqual(self.maker.ask({'type': 'ping'}), {'type': 'pong'})

    def test_a_broken_installation_fails_only_its_draw_and_is_named(self) -> None:
        broken = standin.write_installation(self.directory / 'broken')
        (broken.parent / 'properties.json').unlink()
        event = self.maker.draw(executable=str(broken), seed='a')
        self.assertEqual(event['type'], 'failed')
        self.assertIn('properties.json', event['error'])
        self.draw()


class Process(unittest.TestCase):
    """Its start and its end."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix='camofleet-identity-')
        self.addCleanup(scratch.cleanup)
        self.directory = Path(scratch.name)

    def start(self, env: dict[str, str], first: Optional[str] = 'hello') -> Maker:
        """Starts a maker."""
        maker = Maker(self.directory, env)
        self.event = maker.event()
        self.assertEqual(self.event['type'], first, self.event)
        return maker

    def test_it_ends_when_its_input_is_closed(self) -> None:
        maker = self.start(standin.write(self.directory))
        self.assertEqual(maker.close()[0], 0)

    def test_without_a_model_it_says_what_to_do_and_fetches_nothing(self) -> None:
        env = standin.write(self.directory)
        (self.directory / 'site/fpgen/data/values.dat').unlink()
        for variables in (env, {'PYTHONPATH': env['PYTHONPATH']}):
            maker = self.start(variables, 'unusable')
            self.assertIn('camofleet setup camoufox', self.event['error'])
            status, errors = maker.close()
            self.assertEqual(status, 1)
            self.assertNotIn('Downloading', errors)

    def test_the_network_can_not_be_used(self) -> None:
        code = """
import offline, socket, sys
offline.forbid_network()
for use in (lambda: socket.create_connection(('127.0.0.1', 9)), lambda: socket.getaddrinfo('localhost', 80)):
    try:
        use()
    except offline.NetworkForbidden as error:
        assert 'camofleet setup camoufox' in str(error)
    else:
        sys.exit('it was used')
"""
        subprocess.run([sys.executable, '-B', '-c', code], check=True, cwd=MAKER.parent)

    def test_what_the_library_prints_is_no_event(self) -> None:
        env = standin.write(self.directory)
        installation = self.directory / 'camoufox'
        (installation / 'properties.json').write_text('[]')
        maker = self.start(env)
        event = maker.draw(executable=str(installation / 'camoufox-bin'), seed='a')
        self.assertEqual(event['type'], 'drawn')
        self.assertIn('Skipping unknown patch', maker.close()[1])


if __name__ == '__main__':
    # The numbers as node --test prints them, which scripts/test.sh counts.
    result = unittest.main(exit=False, verbosity=2).result
    failed = len(result.failures) + len(result.errors)
    print(f'# pass {result.testsRun - failed}\n# fail {failed}')
    sys.exit(not result.wasSuccessful())
