"""What Ark refuses of a round because of the rounds before it, and of explicit caching.

By the pages of the Responses API and of its caches [D 1569618, 1398933]. Where they name no text,
the code is "InvalidParameter" and the words are our choice.
"""

from typing import Any, Protocol

from chatbot.ark.offline.messages import check_flag, check_type
from chatbot.ark.offline.refusals import invalid

MOST_ITEMS = 1_000
LEAST_PREFIX = 256


class Earlier(Protocol):
    """What a round has to know of the one it continues."""

    cached: bool
    instructed: bool
    thinking: str | None
    items: int


def check_length(earlier: Earlier | None, new: int) -> None:
    """Input and output items of all rounds together."""
    if earlier is not None and earlier.items + new > MOST_ITEMS:
        why = f"the chain has more than {MOST_ITEMS} items"
        raise invalid("previous_response_id", why)


def check_tier(body: dict[str, Any], store: bool) -> None:
    if body.get("service_tier") == "flex" and store:
        raise invalid("service_tier", "store should be false when service_tier is flex")


def check_caching(
    body: dict[str, Any], store: bool, earlier: Earlier | None, thinking: str | None
) -> bool:
    """Whether caching is on; it goes with neither instructions, built-in tools, JSON schema
    nor `store:false`, and its later rounds may change neither tools nor thinking."""
    schema = is_schema(body)
    if schema and earlier is not None and earlier.cached:
        raise invalid("text.format", "json_schema is not supported after caching")
    if check_type(body, "caching", ("enabled", "disabled")) != "enabled":
        return False
    if body.get("instructions") or (earlier is not None and earlier.instructed):
        raise invalid("instructions", "caching is not supported for instructions")
    if not store:
        raise invalid("store", "store should be true when enable caching")
    if any(tool.get("type") != "function" for tool in body.get("tools") or []):
        raise invalid("caching", "caching is not supported for built-in tools")
    if schema:
        raise invalid("caching", "caching is not supported for json_schema")
    if earlier is not None and earlier.cached:
        if body.get("tools"):
            raise invalid("tools", "with caching they are set by the first round")
        if thinking != earlier.thinking:
            raise invalid("thinking", "with caching it must be the same in each round")
    return True


def check_prefix(body: dict[str, Any], earlier: Earlier | None, tokens: int) -> bool:
    """Whether only a prefix is to be written, which has rules of its own."""
    if not check_flag(body.get("caching") or {}, "prefix"):
        return False
    why = ""
    if body.get("stream"):
        why = "it is not supported with stream"
    elif earlier is not None:
        why = "it is for the first round"
    elif tokens < LEAST_PREFIX:
        why = f"it needs at least {LEAST_PREFIX} tokens"
    if why:
        raise invalid("caching.prefix", why)
    return True


def is_schema(body: dict[str, Any]) -> bool:
    text = body.get("text") or {}
    return bool((text.get("format") or {}).get("type") == "json_schema")
