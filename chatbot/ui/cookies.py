"""The login cookie: its name, and how to read, set and remove it.

All ports and paths of a host share their cookies. So the name contains the port and path that the
browser sees. Over https it begins with `__Host-`, so that no sibling host can set it.
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
    """The login token of a request, or None; `Accounts.person` finds its user."""
    return request.cookies.get(login_cookie_name(request)) or None


def set_login_cookie(response: Response, request: Request, value: str, max_age: int) -> None:
    """Set the login cookie for `max_age` seconds. An empty value with age 0 removes it."""
    # Not `set_cookie`: before Python 3.14 Starlette refuses `partitioned`. Hosted demos run in a
    # frame of another site, where a browser keeps only partitioned cookies.
    kind = "Secure; SameSite=None; Partitioned" if _is_https(request) else "SameSite=Lax"
    name = login_cookie_name(request)
    response.headers.append(
        "set-cookie", f"{name}={value}; Path=/; HttpOnly; Max-Age={max_age}; {kind}"
    )


def _is_https(request: Request) -> bool:
    """Whether the browser uses https, as set by `Proxies`."""
    return request.url.scheme == "https"
