"""The login cookie: its name, how it is read, set and taken away.

Cookies of one host are shared by all its ports and paths, so the name says which app it belongs
to: by the port and path that the browser sees. Over https the name begins with `__Host-`: then no
sibling of the host can set it.
"""

import re
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

NAME = "chatbot_login"
ZONE = "chatbot_zone"
"""The browser's time zone, set by the page's script; the same for all apps."""


def login_cookie_name(request: Request) -> str:
    """The cookie's name for the browser that sent this request."""
    port = request.url.port
    path = urlsplit(str(request.scope.get("root_path") or "")).path
    parts = [NAME, *([str(port)] if port else []), *re.findall("[A-Za-z0-9]+", path)]
    return f"{'__Host-' if _is_https(request) else ''}{'_'.join(parts)}"


def token_of(request: Request) -> str | None:
    """The login token of a request, which `Accounts.person` turns into a person."""
    return request.cookies.get(login_cookie_name(request)) or None


def set_login_cookie(response: Response, request: Request, value: str, max_age: int) -> None:
    """Have the browser keep this token; an empty one with an age of 0 has it forget the last."""
    # By hand: Starlette refuses `partitioned` before Python 3.14. A browser keeps the cookie
    # inside another site's frame, where hosted demos live, only if it is partitioned.
    kind = "Secure; SameSite=None; Partitioned" if _is_https(request) else "SameSite=Lax"
    name = login_cookie_name(request)
    response.headers.append(
        "set-cookie", f"{name}={value}; Path=/; HttpOnly; Max-Age={max_age}; {kind}"
    )


def _is_https(request: Request) -> bool:
    """Whether the browser sees https; `Proxies` has found it out."""
    return request.url.scheme == "https"
