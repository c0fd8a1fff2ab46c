"""The allow-list of requests: methods and addresses that the page needs.

Gradio serves about sixty more routes, and every version adds some. A request that is not on this
list does not reach Gradio.
"""

import re
from collections.abc import Iterable, Mapping
from enum import Enum

from starlette.routing import Route

from chatbot.errors import NoSuchAddress

API = "/gradio_api"
FILES_PATH = f"{API}/chatbot/files"
"""Where files are uploaded; below it stands each of them, by its id."""


class Door(Enum):
    """The kinds of request that are allowed."""

    PAGE = "the page itself: a link from anywhere may lead to it"
    FILE = "a script, style, font or picture of Gradio's: the same for everybody"
    ALIVE = "a page that lost its connection asks whether the server is back"
    OWN = "a route of this app"
    UPLOAD = "a picture or file for a question"
    STORED = "a picture or file of a question: shown in the page, or opened beside it"
    JOIN = "an event of the page"
    DATA = "the stream that brings what events answer"
    HEARTBEAT = "the stream that tells how long a page is open"
    START = "what Gradio asks itself while it starts"


LONGEST_FILE = 200
"""Most characters of a file's address; file systems allow names of up to 255."""
# A segment begins with a letter or digit, so none is `..`.
FILES = re.compile(r"/(?:assets|static)(?:/[A-Za-z0-9_][A-Za-z0-9_.@~-]*)+")
HEARTBEAT = re.compile(rf"{API}/heartbeat/([A-Za-z0-9_-]{{1,64}})")
OF_FILES = {"POST": Door.UPLOAD, "GET": Door.STORED}


class Doors:
    """The allow-list for an app with these additional routes."""

    def __init__(self, own: Iterable[Route]) -> None:
        self.starting = True
        """True until the app has started; until then Gradio sends requests to itself."""
        self._fixed = {
            ("GET", "/"): Door.PAGE,
            ("GET", "/theme.css"): Door.FILE,
            ("GET", f"{API}/app_id"): Door.ALIVE,
            ("POST", f"{API}/queue/join"): Door.JOIN,
            ("GET", f"{API}/queue/data"): Door.DATA,
        }
        self._with_id: list[tuple[str, re.Pattern[str], Door]] = []
        for route in own:
            for method in (route.methods or set()) - {"HEAD"}:
                is_of_files = route.path.startswith(FILES_PATH)
                door = OF_FILES.get(method, Door.OWN) if is_of_files else Door.OWN
                if "{" in route.path:
                    self._with_id.append((method, route.path_regex, door))
                else:
                    self._fixed[method, route.path] = door

    def find(self, scope: Mapping[str, object]) -> Door:
        """The kind of this request. Raises `NoSuchAddress` if it is not allowed."""
        method, path = str(scope["method"]), path_of(scope)
        method = "GET" if method == "HEAD" else method
        door = self._fixed.get((method, path))
        if door is not None:
            return door
        for its_method, pattern, its_door in self._with_id:
            if method == its_method and len(path) <= LONGEST_FILE and pattern.match(path):
                return its_door
        if method == "GET" and len(path) <= LONGEST_FILE and FILES.fullmatch(path):
            return Door.FILE
        if method == "GET" and HEARTBEAT.fullmatch(path):
            return Door.HEARTBEAT
        if self.starting and (method, path) == ("GET", f"{API}/startup-events"):
            return Door.START
        raise NoSuchAddress()


def path_of(scope: Mapping[str, object]) -> str:
    """The path without the prefix that the app is served at (GRADIO_ROOT_PATH)."""
    path, root = str(scope["path"]), str(scope.get("root_path") or "")
    below = path.removeprefix(root) if root.startswith("/") else path
    return below if below.startswith("/") else path
