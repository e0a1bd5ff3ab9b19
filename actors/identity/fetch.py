"""Fetches with the library, in whose Python it runs, what install.py names: `model` or `browser`.

The library's own command `camoufox fetch` exits with 0 when it fails, so its functions are called.
"""

import sys


def fetch(part: str) -> str:
    """Fetches a part unless it is there. Returns where it is."""
    if part == 'model':
        from camoufox import fpgen_model

        fpgen_model.ensure_fpgen_model()
        return str(fpgen_model.fpgen_data_dir())
    from camoufox.multiversion import get_active_path
    from camoufox.pkgman import INSTALL_DIR, CamoufoxFetcher

    CamoufoxFetcher().install()
    return str(get_active_path() or INSTALL_DIR)


if __name__ == '__main__':
    try:
        print(f'{sys.argv[1]}: {fetch(sys.argv[1])}')
    except Exception as error:  # of the library and of the network, for which there is no common kind
        sys.exit(f'{type(error).__name__}: {error}')
