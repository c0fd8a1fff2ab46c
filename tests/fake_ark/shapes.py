"""Alternative responses where Ark's are not documented; clients must expect all of them.

The first of each is the default of the local Ark.
"""

from typing import Literal

from chatbot.ark.offline.refusals import (
    Refusal,
    lost_context,
    lost_response,
    unknown_model,
    unsupported,
)

LostShape = Literal["not_found", "previous_response", "previous_response_param"]
"""How an expired or unknown context is reported; the other two are handled by clients in the
wild."""
UnsupportedShape = Literal["bad_request", "not_found"]
"""How a model is refused by an API that does not have it."""
ContextApi = Literal["on", "empty", "not_found", "bad_request", "forbidden"]
"""Whether contexts are served; the others are ways in which an API that was shut may say so.
The empty 404 is what another entry of Ark was seen to answer."""

Annotations = Literal["both", "deltas", "final", "none"]
"""Where the sources of a web search are told: by events, in the finished text, both or nowhere."""


def lost(ref: str, shape: LostShape) -> Refusal:
    if shape == "previous_response":
        return lost_response(ref)
    if shape == "previous_response_param":
        message = f"The parameter `previous_response_id` {ref} in the request is not valid."
        return Refusal(400, "InvalidParameter", message, param="previous_response_id")
    return lost_context(ref)


def not_served(model: str, api: str, shape: UnsupportedShape) -> Refusal:
    if shape == "bad_request":
        return unsupported(model)
    message = f"The model {model} does not support the {api} API."
    return Refusal(404, "UnsupportedModel", message, param="model")


def context_shut(model: str, shape: ContextApi) -> Refusal:
    if shape == "forbidden":
        message = "The request failed because the service is not open for your account."
        return Refusal(403, "OperationDenied.ServiceNotOpen", message)
    return unknown_model(model) if shape == "not_found" else unsupported(model)
