"""Python's search for garbage, made rare: it stops every stream for as long as it takes.

It would look again and again through what the start has made, which stays. Both ways of `gc` used
here are documented, and a Python without them keeps its own.
"""

import gc
import logging

log = logging.getLogger("chatbot")

OBJECTS = 10_000
"""So many new objects until the next search. What an event makes goes with it."""


def search_rarely() -> None:
    """Leave out what there is by now, and search less often from here on."""
    try:
        gc.freeze()
        gc.set_threshold(OBJECTS)
    except (AttributeError, NotImplementedError):
        log.warning("garbage is searched for as often as this Python does it by itself")
