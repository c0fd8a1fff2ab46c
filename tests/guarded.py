"""A small web app with the guard in front of it, as Gradio has it."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route

from chatbot.accounts import Accounts
from chatbot.ui.doors import Doors
from chatbot.ui.event_inputs import EventInputs
from chatbot.ui.guard import Guard, Rules
from chatbot.ui.origins import Origins
from chatbot.ui.pace import Pace
from chatbot.ui.proxies import Proxies
from chatbot.ui.tabs import Tabs

FUNCTIONS = {0: "view", 1: "follow", 2: "send", 3: "edit", 4: "act"}


def rules(
    accounts: Accounts,
    own: Sequence[Route] = (),
    *,
    trusted: str = "",
    allowed_hosts: str = "",
    on_loopback: bool = False,
    outer: Mapping[str, str] = {},
    tabs: Tabs | None = None,
    burst: float = 1000,
    frame_ancestors: str = "'self' https://hub.test",
) -> Rules:
    return Rules(
        accounts=accounts,
        doors=Doors(own),
        proxies=Proxies(trusted, lambda: outer),
        origins=Origins(
            allowed_hosts,
            on_loopback=on_loopback,
            own_name="127.0.0.1" if on_loopback else "0.0.0.0",
            outer_names=lambda: outer,
        ),
        inputs=EventInputs(FUNCTIONS, max_input_chars=100),
        tabs=tabs or Tabs(lambda _: None),
        anonymous_pace=Pace(burst=burst, per_second=burst / 10),
        person_pace=Pace(burst=burst, per_second=burst / 10),
        frame_ancestors=frame_ancestors,
    )


def guarded(
    accounts: Accounts, own: Sequence[Route], others: Sequence[BaseRoute] = (), **more: Any
) -> Starlette:
    """An app with `own` routes, which are on the list, and `others`, which are Gradio's."""
    made = rules(accounts, own, **more)
    made.doors.starting = False
    return Starlette(routes=[*own, *others], middleware=[Middleware(Guard, made)])
