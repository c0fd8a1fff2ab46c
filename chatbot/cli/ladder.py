"""What `check` asks of the model service: first without cost, then each model, step by step.

Each step stops at what makes the next ones pointless. Nothing that is learned here is stored.
"""

import asyncio
import struct
import zlib
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import httpx

from chatbot.ark.chunks import (
    CallFailed,
    CallOptions,
    CallStarts,
    Chunk,
    MemorySaved,
    PromptFile,
    PromptMessage,
)
from chatbot.ark.client import MOST_SEARCHES, ArkClient
from chatbot.ark.dialect import Dialect
from chatbot.ark.memory import Learned, Memories, MemoryRequest, memories_for
from chatbot.ark.memory.attempt import estimate_lines
from chatbot.ark.memory.learned import Capability
from chatbot.ark.memory.responses import FOUND_TOKENS
from chatbot.ark.reach import unreachable
from chatbot.ark.tokens import estimate_picture
from chatbot.budget import MILLION, Budget
from chatbot.catalog import Model, Models
from chatbot.cli.findings import Findings
from chatbot.clock import now
from chatbot.config import Settings
from chatbot.errors import (
    AccountOverdue,
    AddressUnknown,
    ArkError,
    CertificateRefused,
    FieldRefused,
    KeyRefused,
    NotSupported,
    PictureRefused,
    PicturesNotRead,
    PlanKey,
    ToolNotOpen,
    WrongAddress,
)
from chatbot.model_file import configured_models
from chatbot.turns.bill import Calls

SECONDS = 15
FEW_TOKENS = 16
SIDE = 32
"""Pixels of each side of the picture; Ark takes none with fewer than 15."""
SAME_FOR_ALL = (
    KeyRefused, PlanKey, AccountOverdue, WrongAddress, AddressUnknown, CertificateRefused,
)  # fmt: skip
"""Errors that each further model would have, too."""
THINKING_FIELDS = ("thinking", "reasoning", "reasoning_effort")
WHY = {AddressUnknown: "why_name", CertificateRefused: "why_certificate"}


def look_at_ark(settings: Settings, found: Findings, call: bool) -> bool:
    """Ask for the list of models, which costs nothing; whether it is worth while to call one."""
    assert settings.ark_api_key is not None
    key = settings.ark_api_key.get_secret_value()
    address = f"{settings.ark_base_url}/models"
    try:
        response = httpx.get(address, headers={"Authorization": f"Bearer {key}"}, timeout=SECONDS)
    except httpx.HTTPError as error:
        # Do not print the error's text: if it quotes a header, it would show the key.
        kind = type(error).__name__
        why = WHY.get(unreachable(error))
        told = found.text(why) if why else kind
        if isinstance(error, httpx.ConnectError) and not why:
            told = found.text("why_refused", kind=kind)
        found.bad("ark", "unreachable", address=settings.ark_base_url, why=told)
        return False
    status = response.status_code
    if status in (401, 403):
        found.bad("ark", "key_refused", status=status)
        return False
    if status == 404:
        # Some compatible servers have no list: then the call will tell.
        if not call:
            found.bad("ark", "nowhere", address=settings.ark_base_url)
        return call
    if status >= 500:
        found.bad("ark", "out_of_order", status=status)
        return False
    if status != 200:
        found.good("ark", "reached_only", status=status)
        return True
    found.good("ark", "reached")
    _compare(settings, _statuses(response), found)
    return True


def _statuses(response: httpx.Response) -> dict[str, str]:
    """What the list says of each model: `Retiring`, `Shutdown`, or nothing."""
    try:
        listed = response.json().get("data")
    except (ValueError, AttributeError, RecursionError):
        return {}
    entries = listed if isinstance(listed, list) else []
    return {
        str(entry.get("id")): str(entry.get("status") or "")
        for entry in entries
        if isinstance(entry, dict)
    }


def _compare(settings: Settings, statuses: dict[str, str], found: Findings) -> None:
    for model in configured_models(settings).all:
        status = statuses.get(model.wire_name)
        if status == "Shutdown":
            found.note("listed", "shut_down", model.name)
        elif status == "Retiring":
            found.note("listed", "retiring", model.name)


def call_models(settings: Settings, found: Findings) -> None:
    """Call each model of ARK_MODEL."""
    asyncio.run(_call_models(settings, found))


async def _call_models(settings: Settings, found: Findings) -> None:
    assert settings.ark_api_key is not None
    models = configured_models(settings)
    client = ArkClient(
        api_key=settings.ark_api_key.get_secret_value(),
        base_url=settings.ark_base_url,
        first_token_seconds=settings.first_token_seconds,
        idle_seconds=settings.idle_seconds,
    )
    ladder = Ladder(settings, models, client, found)
    before = len(found.all)
    try:
        for place, model in enumerate(models.all):
            stopped = await ladder.climb(model)
            if stopped is None:
                continue
            for other in models.all[place + 1 :]:
                found.bad("model", "not_asked", other.name)
            break
    finally:
        await client.close()
    if not any(one.name == "ark" for one in found.all):
        # There was no list of models: only a call could tell whether there is a service at all.
        if any(one.code == WrongAddress.code for one in found.all):
            found.bad("ark", "nowhere", address=settings.ark_base_url)
        else:
            found.good("ark", "no_list")
        found.all.insert(before, found.all.pop())
    ladder.tell_cost()


@dataclass
class Heard:
    """What one call has told."""

    kind: str = ""
    thought: bool = False
    usage: bool = False
    calls: Calls = field(default_factory=Calls)
    refs: set[str] = field(default_factory=set)

    def take(self, event: Any) -> None:
        match event:
            case CallStarts():
                self.calls.start(event)
            case CallFailed():
                self.calls.fail(event.applied, event.wrote)
            case MemorySaved():
                self.kind = event.kind
            case Chunk():
                self.calls.take(event)
                self.refs |= {event.ref} if event.ref else set()
                if event.tokens is not None:
                    known = (event.tokens.prompt, event.tokens.completion)
                    self.usage = self.usage or None not in known
                    self.thought = self.thought or event.tokens.reasoning > 0
                self.thought = self.thought or bool(event.thought)


class Ladder:
    """The steps of each model. The first is the call of a conversation; it tells the rest."""

    def __init__(
        self, settings: Settings, models: Models, client: ArkClient, found: Findings
    ) -> None:
        self._settings = settings
        self._client = client
        self._found = found
        self._budget = Budget.of(settings, models)
        self._prices = models.prices
        self._learned = Learned([], _not_stored, now)
        self._memories: Memories = memories_for(
            settings.ark_memory, client, settings.ark_context_ttl, models.kinds, self._learned
        )
        self._tokens = self._micro_yuan = self._calls = 0

    async def climb(self, model: Model) -> ArkError | None:
        """All steps of one model; returns the error that each other model would have, too."""
        heard = Heard()
        try:
            await self._ask(model, heard)
        except ArkError as error:
            heard.calls.fail(error.applied, error.wrote)
            self._count(model, heard)
            self._found.error("model", error, model.name)
            return error if isinstance(error, SAME_FOR_ALL) else None
        self._count(model, heard)
        kind = heard.kind or self._memories.kind_for(model.name)
        self._found.good("model", "answers", model.name, kind=kind)
        self._tell_thinking(model, kind, heard)
        self._found_usage(model, heard)
        await self._search(model, kind)
        await self._pictures(model, kind)
        self._tell_fields(model, kind)
        return None

    def tell_cost(self) -> None:
        """What all calls have used, by the prices that the app counts with."""
        yuan = self._micro_yuan / MILLION
        self._found.good("cost", "cost", tokens=self._tokens, calls=self._calls, yuan=yuan)

    def _dialect(self, model: Model, kind: str) -> Dialect:
        return self._learned.of(model.wire_name, kind).dialect

    def _tell_thinking(self, model: Model, kind: str, heard: Heard) -> None:
        if kind == "context" or not (self._client.speaks_ark or heard.thought):
            # There is no switch to look at.
            return
        refused = not all(map(self._dialect(model, kind).takes, THINKING_FIELDS))
        if heard.thought and "off" in model.thinking:
            self._found.note("thinking", "thinking_always", model.name)
        elif heard.thought:
            self._found.good("thinking", "thinking_known", model.name)
        elif refused:
            self._found.good("thinking", "thinking_no_switch", model.name)
        else:
            self._found.good("thinking", "thinking_off", model.name)

    def _found_usage(self, model: Model, heard: Heard) -> None:
        if heard.usage:
            self._found.good("usage", "usage_told", model.name)
        else:
            self._found.note("usage", "usage_missing", model.name)

    def _tell_fields(self, model: Model, kind: str) -> None:
        refused = sorted(self._dialect(model, kind).refused)
        if refused:
            self._found.good("fields", "fields", model.name, fields=", ".join(refused))

    async def _search(self, model: Model, kind: str) -> None:
        if not (model.search and self._settings.web_search):
            return
        if kind != "responses":
            self._found.note("search", "search_elsewhere", model.name, kind=kind)
            return
        heard = Heard()
        try:
            await self._ask_with_search(model, heard)
        except ArkError as error:
            heard.calls.fail(error.applied, error.wrote)
            if isinstance(error, ToolNotOpen):
                self._found.note("search", "search_closed", model.name)
            elif isinstance(error, FieldRefused | NotSupported):
                self._found.note("search", "search_refused", model.name)
            else:
                self._untold("search", model, error)
        else:
            price = self._prices(model.name).search
            self._found.good("search", "search_open", model.name, price=price)
        self._count(model, heard)

    async def _pictures(self, model: Model, kind: str) -> None:
        if "image" not in model.inputs or kind == "context":
            return
        heard = Heard()
        try:
            await self._ask(model, heard, (picture(),))
        except ArkError as error:
            heard.calls.fail(error.applied, error.wrote)
            if isinstance(error, PicturesNotRead | PictureRefused):
                self._found.note("pictures", "pictures_refused", model.name)
            else:
                self._untold("pictures", model, error)
        else:
            self._found.good("pictures", "pictures_read", model.name)
        self._count(model, heard)

    def _untold(self, name: str, model: Model, error: ArkError) -> None:
        why = f"{self._found.sentence(error)} ({error.for_log()})"
        self._found.note(name, "untold", model.name, why=why)

    async def _ask(self, model: Model, heard: Heard, files: Sequence[PromptFile] = ()) -> None:
        """Ask as a conversation does: with the kind of memory that the model has, and without the
        fields that it refuses."""
        ask = MemoryRequest(
            model=model.name,
            system=self._settings.system_prompt,
            question=PromptMessage("user", "1", tuple(files)),
            ref=None,
            held_tokens=0,
            load_history=_no_history,
            begun=(),
            history_tokens=self._settings.history_tokens,
            options=self._options(model),
        )
        async with aclosing(self._memories.answer(ask)) as events:  # type: ignore[type-var]
            async for event in events:
                heard.take(event)
        await self._memories.forget(sorted(heard.refs))

    async def _ask_with_search(self, model: Model, heard: Heard) -> None:
        """Ask without `Memories`, which would ask again without search and not say why."""
        lines = [PromptMessage("user", "1")]
        found = MOST_SEARCHES * FOUND_TOKENS
        prompt = estimate_lines(lines) + found
        heard.take(CallStarts(prompt, FEW_TOKENS, searches=MOST_SEARCHES, found_tokens=found))
        chunks = self._client.stream_response(
            model.name,
            None,
            lines,
            replace(self._options(model), search=True),
            now() + timedelta(seconds=self._settings.ark_context_ttl),
            self._dialect(model, "responses"),
        )
        async with aclosing(chunks) as events:  # type: ignore[type-var]
            async for chunk in events:
                heard.take(chunk)
        await self._memories.forget(sorted(heard.refs))

    def _options(self, model: Model) -> CallOptions:
        return CallOptions(FEW_TOKENS, thinking=model.thinks("off"))

    def _count(self, model: Model, heard: Heard) -> None:
        used = heard.calls.used()
        numbers = self._budget.numbers(model.name, used)
        self._calls += len(used)
        self._tokens += numbers.prompt_tokens + numbers.completion_tokens
        self._micro_yuan += numbers.micro_yuan


def picture() -> PromptFile:
    """A small white picture."""

    def part(name: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\xff" * 3 * SIDE) * SIDE
    data = b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header)
    data += part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")
    return PromptFile("image", "image/png", "check.png", data, estimate_picture(SIDE, SIDE))


async def _no_history() -> list[PromptMessage]:
    return []


async def _not_stored(_: Capability) -> None:
    """The app learns for itself."""
