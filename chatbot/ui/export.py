"""Exports a conversation as a Markdown file."""

from datetime import tzinfo

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chatbot.accounts import Accounts
from chatbot.errors import NotLoggedIn
from chatbot.service import ChatService
from chatbot.ui.cookies import ZONE, token_of
from chatbot.ui.routes import PREFIX, answering, texts_of
from chatbot.ui.texts import Language, language_of, reason_text, text
from chatbot.ui.visit import zone_of
from chatbot.views import Thread

WHOLE = 100_000
"""More messages than any conversation has."""


def export_route(accounts: Accounts, service: ChatService) -> Route:
    """POST {"session": id}: {"name", "text"} of the file. POST keeps the id out of addresses."""

    async def export(request: Request) -> Response:
        (session,) = await texts_of(request, "session")
        person = await accounts.person(token_of(request))
        if person is None:
            raise NotLoggedIn()
        thread = await service.open(person.id, session, WHOLE)
        language = language_of(request.headers.get("accept-language"))
        zone = zone_of(request.cookies.get(ZONE))
        name = "".join(c for c in thread.entry.title if c.isalnum() or c in " -_").strip()
        file = {"name": f"{name or 'session'}.md", "text": markdown(thread, language, zone)}
        return JSONResponse(file)

    return Route(f"{PREFIX}/export", answering(export), methods=["POST"])


def markdown(thread: Thread, language: Language, zone: tzinfo) -> str:
    """The visible branch, oldest message first, with times and the errors that ended replies."""
    parts = [f"# {thread.entry.title or text('untitled', language)}"]
    for message in thread.messages:
        who = text("export_you", language) if message.role == "user" else "AI"
        parts.append(f"## {who} · {message.at.astimezone(zone):%Y-%m-%d %H:%M}")
        parts += [f"[{_as_text(file.name)}]" for file in message.files]
        if message.content:
            parts.append(message.content)
        parts += [f"- [{_as_text(one.title or one.url)}](<{one.url}>)" for one in message.sources]
        if message.state not in ("complete", "streaming"):
            reason = reason_text(message.error or message.state, language, message.model).rstrip(
                ".。"
            )
            parts.append(f"*{text(f'state_{message.state}', language, reason=reason)}*")
    return "\n\n".join(parts) + "\n"


def _as_text(name: str) -> str:
    """A file's name as plain text of Markdown."""
    return "".join(f"\\{char}" if char in "\\[]*_`<>" else char for char in name)
