"""The checks Ark makes on messages and on the numbers beside them, whatever the API."""

from typing import Any

from chatbot.ark.offline.refusals import invalid, missing, unknown_model, unknown_role

Message = dict[str, Any]


def check_model(body: dict[str, Any]) -> str:
    model = body.get("model")
    if model is None or model == "":
        raise missing("model")
    if not isinstance(model, str):
        raise invalid("model", "it must be a string")
    if model == "ep-missing" or model.startswith("missing"):
        raise unknown_model(model)
    return model


def check_messages(body: dict[str, Any], *, roles: set[str]) -> list[Message]:
    messages = body.get("messages")
    if messages is None:
        raise missing("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("messages", "it must be a list with at least one message")
    for message in messages:
        if not isinstance(message, dict):
            raise invalid("messages", "every message must be an object")
        if message.get("role") not in roles:
            raise unknown_role(message.get("role"))
        check_content(message)
    return messages


def check_content(message: Message, param: str = "messages.content") -> None:
    content = message.get("content")
    # A reply that only calls tools has no content, so null is fine from the assistant.
    if content is None and message.get("role") == "assistant":
        return
    if content is None:
        raise missing(param)
    if not isinstance(content, str | list):
        raise invalid(param, "it must be a string or a list of parts")
    if isinstance(content, list) and not all(isinstance(part, dict) for part in content):
        raise invalid(param, "every part must be an object")


def check_last_role(messages: list[Message]) -> None:
    """No prefill in a context: the last message must not be the assistant's [D 1396491]."""
    if messages[-1]["role"] == "assistant":
        raise invalid("messages", "the role of the last message must not be assistant")


def check_count(body: dict[str, Any], name: str) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise invalid(name, "it must be a positive integer")
    return value


def check_range(body: dict[str, Any], name: str, low: float, high: float) -> None:
    value = body.get(name)
    if value is None:
        return
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise invalid(name, f"it must be in [{low:g}, {high:g}]")


def check_flag(body: dict[str, Any], name: str, default: bool = False) -> bool:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise invalid(name, "it must be a boolean")
    return value


def check_choice(body: dict[str, Any], name: str, choices: tuple[str, ...]) -> str | None:
    value = body.get(name)
    if value is not None and value not in choices:
        raise invalid(name, f"it must be one of {', '.join(choices)}")
    return value


def check_type(body: dict[str, Any], name: str, choices: tuple[str, ...]) -> str | None:
    """The `type` of an option like `thinking`, null or absent when it was not given."""
    option = body.get(name)
    if option is None:
        return None
    if not isinstance(option, dict):
        raise invalid(name, "it must be an object")
    if option.get("type") not in choices:
        raise invalid(f"{name}.type", f"it must be one of {', '.join(choices)}")
    return str(option["type"])


def check_stop(body: dict[str, Any]) -> list[str]:
    stop = body.get("stop")
    if stop is None:
        return []
    words = [stop] if isinstance(stop, str) else stop
    if not isinstance(words, list) or len(words) > 4 or not all(isinstance(w, str) for w in words):
        raise invalid("stop", "it must be a string or a list of at most 4 strings")
    return [word for word in words if word]
