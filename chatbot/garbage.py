"""Makes Python's garbage collection rare, because it stops every stream while it runs.

Objects from the start stay, so they need no more scans. Both `gc` functions used here are
documented; a Python without them keeps its defaults.
"""

import gc
import logging

log = logging.getLogger("chatbot")

OBJECTS = 10_000
"""New objects until the next collection. The objects of an event are freed when it ends."""


def search_rarely() -> None:
    """Exclude all present objects, and collect less often from now on."""
    try:
        gc.freeze()
        gc.set_threshold(OBJECTS)
    except (AttributeError, NotImplementedError):
        log.warning("garbage is searched for as often as this Python does it by itself")
