"""What Camoufox' own library returns for a seed, called as its documentation says and without anything of the maker: tests
compare what a browser was given with this.

Reads {"executable", "seed", …} from standard input, and prints {"env", "firefox_user_prefs", "args", "fonts"}.
"""

import contextlib
import hashlib
import json
import random
import sys
from pathlib import Path

import numpy
from camoufox import DefaultAddons, launch_options
from camoufox.fingerprints import generate_fingerprint

given = json.load(sys.stdin)
# As README.md says: the first attempt of the seed.
digest = hashlib.sha256(f'{given["seed"]}\0{0}'.encode()).digest()
random.seed(digest)
numpy.random.seed(numpy.frombuffer(digest, dtype=numpy.uint32))
with contextlib.redirect_stdout(sys.stderr):
    drawn = generate_fingerprint(OS=(given['system'],))
    fingerprint = {name: drawn[name] for name in ('navigator', 'screen', 'window', 'headers')}
    fingerprint['camofleet'] = {'seed': given['seed']}
    options = launch_options(
        executable_path=given['executable'],
        fingerprint=fingerprint,
        os=given['system'].lower(),
        locale=given['locale'],
        humanize=given['humanize'],
        main_world_eval=True,
        block_webrtc=True,
        addons=given['addons'],
        exclude_addons=list(DefaultAddons),
        env={},
        i_know_what_im_doing=True,
    )
options['fonts'] = Path(options['env']['FONTCONFIG_FILE']).read_text()
print(json.dumps({name: options[name] for name in ('env', 'firefox_user_prefs', 'args', 'fonts')}))
