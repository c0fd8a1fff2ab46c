"""The tokens of a text, without an answer to it."""

from typing import Any

from chatbot.ark.offline.messages import check_model
from chatbot.ark.offline.refusals import Refusal, invalid, missing
from chatbot.ark.offline.script import pieces
from chatbot.ark.offline.usage import count_tokens


def tokenize(body: Any, request_id: str, created: int) -> dict[str, Any]:
    """The count is the one of the usage; the tokens themselves are made up, one for each piece
    that a reply would be sent in."""
    if not isinstance(body, dict):
        raise Refusal(400, "InvalidParameter", "The request body must be a JSON object.")
    model = check_model(body)
    given = body.get("text")
    if given is None:
        raise missing("text")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise invalid("text", "it must be a string or a list of strings")
    return {
        "id": request_id,
        "created": created,
        "model": model,
        "object": "list",
        "data": [tokens_of(text, index) for index, text in enumerate(texts)],
    }


def tokens_of(text: str, index: int) -> dict[str, Any]:
    ids, places, start = [], [], 0
    for piece in pieces(text):
        ids.append(sum(map(ord, piece)) % 100_000)
        places.append([start, start + len(piece)])
        start += len(piece)
    return {
        "index": index,
        "object": "tokenization",
        "total_tokens": count_tokens(text),
        "token_ids": ids,
        "offset_mapping": places,
    }
