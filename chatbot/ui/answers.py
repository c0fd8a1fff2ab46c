"""What a refused request is answered with: every `ChatbotError` as the same JSON."""

import json

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

from chatbot.errors import BodyTooLarge, ChatbotError, TooManyAttempts, TooManyRequests
from chatbot.ui.texts import error_text, language_of

# Gradio's page takes it for a server that has forgotten it, and loads itself again.
SESSION_NOT_FOUND = {
    "msg": "unexpected_error",
    "event_id": None,
    "message": "",
    "success": False,
    "session_not_found": True,
}


def refusal(error: ChatbotError, headers: Headers) -> Response:
    """`{"error": {"code", "message"}}` in the language of the browser that sent these headers."""
    message = error_text(error, language_of(headers.get("accept-language")))
    response = JSONResponse({"error": {"code": error.code, "message": message}}, error.status)
    return _with_headers(response, error)


def event_refusal(error: ChatbotError, headers: Headers) -> Response:
    """The same for an event of the page, with the message where Gradio's page looks for it."""
    message = error_text(error, language_of(headers.get("accept-language")))
    told = {"error": {"code": error.code, "message": message}, "detail": message}
    return _with_headers(JSONResponse(told, error.status), error)


def session_not_found() -> Response:
    """The whole stream of a tab that is not known (any more)."""
    line = f"data: {json.dumps(SESSION_NOT_FOUND, separators=(',', ':'))}\n\n"
    return Response(line, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


def _with_headers(response: Response, error: ChatbotError) -> Response:
    response.headers["Cache-Control"] = "no-store"
    if isinstance(error, TooManyAttempts | TooManyRequests):
        response.headers["Retry-After"] = str(error.values["seconds"])
    if isinstance(error, BodyTooLarge):
        # The rest of the body is not read, so the connection is of no further use.
        response.headers["Connection"] = "close"
    return response
