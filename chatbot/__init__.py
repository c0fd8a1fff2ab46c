"""The chat app. Tells which Python it needs before it imports anything that an older one lacks.

This file, `app.py` and `__main__.py` keep to a syntax that Python 3.7 can read.
"""

import sys

NEEDED = (3, 11)

if sys.version_info < NEEDED:
    sys.stderr.write(
        "Cannot start: this app needs Python {}.{} or newer, and this is {}.{}. "
        "Make the virtual environment with a newer one: python3.13 -m venv --clear .venv\n".format(
            *NEEDED, *sys.version_info[:2]
        )
    )
    sys.exit(2)
