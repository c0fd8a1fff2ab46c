"""Converts the events of a stream, of either API of Ark, to chunks.

A server may send anything: unreadable data raises one of `ODD`, invalid numbers count as missing,
and names have a maximum length.
"""

from typing import Any

from chatbot.ark.chunks import Chunk, Tokens, counted
from chatbot.ark.errors import Refusal, plain
from chatbot.sources import merged, source
from chatbot.views import Source

Event = dict[str, Any]
ODD = (AttributeError, KeyError, TypeError, ValueError)
"""Exceptions for an answer of unexpected shape."""
REF_CHARS = 200
MOST_SEARCHES = 1_000
"""No reply has more web searches; a larger number is a server's mistake."""
LONGEST_QUERY = 200


def told_error(event: Event) -> Refusal | None:
    """The error that an event in a stream reports, in any of its forms; None if it has none."""
    error = event.get("error")
    if event.get("type") == "response.failed":
        error = (event.get("response") or {}).get("error") or {}
    elif error is None and "code" in event and "choices" not in event:
        # `event: error`, and the form of the Responses API: code and message are at the top level.
        error = event
    return None if error is None else Refusal(0, error)


def chat_chunk(event: Event) -> Chunk:
    """The chunk of an event of chat completions (docs/82379/1494384), or of a whole answer."""
    # `choices` is [] on the usage chunk and may be null or a string on a bad one; `delta` and
    # its fields may be null.
    choices = event.get("choices")
    tokens = read_usage(event["usage"]) if event.get("usage") else None
    if not isinstance(choices, list) or not choices:
        return Chunk(tokens=tokens)
    choice = choices[0]
    delta = choice.get("delta") or choice.get("message") or {}
    # Ollama and newer vLLM call it `reasoning`.
    thought = _text(delta.get("reasoning_content") or delta.get("reasoning"))
    return Chunk(_text(delta.get("content")), thought, _finish(choice.get("finish_reason")), tokens)


def response_chunk(event: Event) -> Chunk:
    """The chunk of an event of the Responses API (docs/82379/1599499).

    Looks only at the event's `type`. Unknown types give an empty chunk.
    """
    match event.get("type"):
        case "response.output_text.delta":
            return Chunk(text=_text(event.get("delta")))
        case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
            return Chunk(thought=_text(event.get("delta")))
        case "response.output_text.annotation.added":
            return Chunk(sources=_sources([event.get("annotation")]))
        case "response.web_search_call.in_progress" | "response.web_search_call.searching":
            return Chunk(search="")
        case "response.output_item.done":
            return Chunk(search=_query(event.get("item")))
        case "response.created":
            return Chunk(ref=read_ref((event.get("response") or {}).get("id")))
        case "response.completed" | "response.incomplete" as type:
            return _end(event.get("response") or {}, type.removeprefix("response."))
        case None if event.get("status") in ("completed", "incomplete"):
            # The whole response in one piece, although a stream was requested.
            end, said = _end(event, event["status"]), output_of(event)
            return Chunk(
                said.text, said.thought, end.finish, end.tokens, end.ref, sources=end.sources
            )
    return Chunk()


def output_of(event: Event) -> Chunk:
    """Text and thoughts of the response in a final event, for a stream without deltas."""
    response = event.get("response") or event
    texts, thoughts = [], []
    for item in response.get("output") or []:
        match item.get("type"):
            case "message":
                parts = item.get("content") or []
                texts += [_text(p.get("text")) for p in parts if p.get("type") == "output_text"]
            case "reasoning":
                parts = [*(item.get("summary") or []), *(item.get("content") or [])]
                thoughts += [_text(part.get("text")) for part in parts]
    return Chunk(text="".join(texts), thought="".join(thoughts))


def read_usage(usage: Any) -> Tokens | None:
    """The usage that a server reports, with the field names of either API."""
    if not isinstance(usage, dict):
        return None

    def count(holder: Any, *names: str) -> int | None:
        if not isinstance(holder, dict):
            return None
        told = (counted(holder.get(name)) for name in names)
        return next((number for number in told if number is not None), None)

    prompt = count(usage, "prompt_tokens", "input_tokens")
    completion = count(usage, "completion_tokens", "output_tokens")
    tools = usage.get("tool_usage")
    given = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    made = usage.get("completion_tokens_details") or usage.get("output_tokens_details")
    return Tokens(
        prompt=prompt,
        cached=min(count(given, "cached_tokens") or 0, prompt or 0),
        completion=completion,
        reasoning=min(count(made, "reasoning_tokens") or 0, completion or 0),
        searches=min(count(tools, "web_search") or 0, MOST_SEARCHES),
    )


def read_ref(value: Any) -> str:
    """The id of a stored context or response; "" if the value is not valid."""
    usable = isinstance(value, str) and len(value) <= REF_CHARS and value.isascii()
    return value if usable and value.isprintable() and not value.isspace() else ""


def _end(response: dict[str, Any], status: str) -> Chunk:
    tokens, sources = read_usage(response.get("usage")), _cited(response)
    if status == "completed":
        ref = read_ref(response.get("id"))
        return Chunk(finish="stop", tokens=tokens, ref=ref, sources=sources)
    # The reason is `length`, or `max_output_tokens` as at OpenAI.
    filtered = "content_filter" in str(response.get("incomplete_details"))
    # Ark stores it, but maybe not with the text that was shown: do not continue from it.
    finish = "content_filter" if filtered else "length"
    return Chunk(finish=finish, tokens=tokens, sources=sources)


def _cited(response: dict[str, Any]) -> tuple[Source, ...]:
    """The sources in a final response; they may be there, in events of the stream, or in both."""
    annotations: list[Any] = []
    for item in _list(response.get("output")):
        for part in _list(item.get("content")) if isinstance(item, dict) else []:
            annotations += _list(part.get("annotations")) if isinstance(part, dict) else []
    return _sources(annotations)


def _sources(annotations: list[Any]) -> tuple[Source, ...]:
    return merged(filter(None, map(source, annotations)))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _query(item: Any) -> str | None:
    """What was searched for, if this item is a search; it is known only after the search."""
    if not isinstance(item, dict) or item.get("type") != "web_search_call":
        return None
    action = item.get("action")
    told = action.get("query") if isinstance(action, dict) else None
    return " ".join(told.split())[:LONGEST_QUERY] if isinstance(told, str) else ""


def _finish(value: Any) -> str:
    if value is None or value == "":
        return ""
    # There is a reason, even if its name is unusable.
    return plain(value) or "stop"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} in the place of text")
    return value
