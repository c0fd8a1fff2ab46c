"""Responses for refused requests: every `ChatbotError` as the same JSON."""

import html
import json

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, Response

from chatbot.errors import (
    BodyTooLarge,
    ChatbotError,
    FileTooLarge,
    TooManyAttempts,
    TooManyRequests,
    UnknownHost,
)
from chatbot.ui.texts import error_text, language_of, text

HINT = """\
<!doctype html>
<html lang="{language}"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{
  max-width: 34em; margin: 15vh auto; padding: 0 20px;
  font: 16px/1.6 system-ui, sans-serif;
}}
h1 {{ font-size: 22px; }}
</style>
<h1>{title}</h1><p>{hint}</p></html>
"""
# On this message Gradio's page reloads itself.
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


def page_refusal(error: ChatbotError, headers: Headers) -> Response:
    """The same for opening the page: a short page with the setting that the owner can change."""
    if not isinstance(error, UnknownHost):
        return refusal(error, headers)
    language = language_of(headers.get("accept-language"))
    title, hint = (html.escape(text(key, language)) for key in ("host_title", "host_hint"))
    page = HINT.format(language=language, title=title, hint=hint)
    return _with_headers(HTMLResponse(page, error.status), error)


def event_refusal(error: ChatbotError, headers: Headers) -> Response:
    """The same for an event, with the message in the field that Gradio's page reads."""
    message = error_text(error, language_of(headers.get("accept-language")))
    told = {"error": {"code": error.code, "message": message}, "detail": message}
    return _with_headers(JSONResponse(told, error.status), error)


def session_not_found() -> Response:
    """The stream for a tab that is not known (any more)."""
    line = f"data: {json.dumps(SESSION_NOT_FOUND, separators=(',', ':'))}\n\n"
    return Response(line, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


def _with_headers(response: Response, error: ChatbotError) -> Response:
    response.headers["Cache-Control"] = "no-store"
    if isinstance(error, TooManyAttempts | TooManyRequests):
        response.headers["Retry-After"] = str(error.values["seconds"])
    if isinstance(error, BodyTooLarge | FileTooLarge):
        # The rest of the body is not read, so the connection cannot be reused.
        response.headers["Connection"] = "close"
    return response
