"""`check`: whether the app can start with these settings, and whether Ark accepts the key."""

import asyncio
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

import httpx
import typer

from chatbot.ark.chunks import CallOptions, Chunk, MemorySaved, PromptMessage, Tokens
from chatbot.ark.client import ArkClient
from chatbot.ark.memory import Learned, MemoryRequest, memories_for
from chatbot.ark.memory.learned import Capability
from chatbot.ark.reach import unreachable
from chatbot.budget import UNKNOWN_PRICES, prices_are_known
from chatbot.catalog import Model
from chatbot.cli.services import AsJson, answer, at_database
from chatbot.clock import now
from chatbot.config import Settings
from chatbot.errors import AddressUnknown, ArkError, BadSettings, CertificateRefused
from chatbot.model_file import configured_models, read_models
from chatbot.storage.upkeep import pending_migrations

SECONDS = 15
WHY = {
    AddressUnknown: "no machine of this name is known",
    CertificateRefused: "its certificate is not trusted, or it speaks plain HTTP",
}
FEW_TOKENS = 16
MOST_WORDS = 300
"""Most words of the service's error to print. It can only repeat our own question."""


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    name: str
    ok: bool
    told: str


def check(
    call: Annotated[
        bool,
        typer.Option("--call", help="Also have the model write a word, which Ark bills."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look at settings, database and model service; changes nothing.

    Without --call nothing is billed: Ark is asked for its list of models, which tells whether it
    can be reached and takes the key, but not whether ARK_MODEL answers.
    """
    settings = Settings.from_env()
    at_database(settings.database_url)
    findings = [
        Finding("settings", True, "All settings can be used."),
        _database(settings),
        *_prices(settings),
        *_ark(settings, call),
    ]
    good = all(finding.ok for finding in findings)
    lines = [f"{'ok    ' if f.ok else 'FAILED'}  {f.name}: {f.told}" for f in findings]
    answer(as_json, {"ok": good, "checks": [asdict(f) for f in findings]}, *lines)
    if not good:
        raise typer.Exit(1)


def _database(settings: Settings) -> Finding:
    try:
        pending = pending_migrations(settings.database_url)
    except BadSettings as error:
        return Finding("database", False, " ".join(str(error).split()))
    if pending is None:
        return Finding("database", True, "Not there yet; the first start makes it.")
    if pending:
        told = f"Can be used; the next start applies {', '.join(pending)}."
        return Finding("database", True, told)
    return Finding("database", True, "Can be used, and its schema is the newest.")


def _prices(settings: Settings) -> list[Finding]:
    if settings.ark_api_key is None:
        return []
    read_on = read_models(Path(settings.models_file)).prices_read
    return [
        Finding("prices", True, _price(settings, model, read_on))
        for model in configured_models(settings).all
    ]


def _price(settings: Settings, model: Model, read_on: date) -> str:
    if model.prices is not None:
        return f"Known for {model.name}, as listed on {read_on}."
    if prices_are_known(settings, model):
        return "As set by PRICE_INPUT, PRICE_CACHED and PRICE_OUTPUT."
    return UNKNOWN_PRICES.format(model=model.name)


def _ark(settings: Settings, call: bool) -> list[Finding]:
    if settings.ark_api_key is None:
        told = "Offline: without ARK_API_KEY the built-in local Ark answers."
        return [Finding("ark", True, told)]
    key = settings.ark_api_key.get_secret_value()
    found = _models(settings, key)
    if not call or not (found.ok or found.told == _nowhere(settings)):
        return [found]
    models = configured_models(settings)
    answers = [asyncio.run(_answer(settings, key, model)) for model in models.all]
    if not found.ok and any(one.ok for one in answers):
        found = Finding("ark", True, "Reached; it has no list of models.")
    return [found, *answers]


def _models(settings: Settings, key: str) -> Finding:
    address = f"{settings.ark_base_url}/models"
    try:
        response = httpx.get(address, headers={"Authorization": f"Bearer {key}"}, timeout=SECONDS)
    except httpx.HTTPError as error:
        # Do not print the error's text: if it quotes a header, it would show the key.
        why = WHY.get(unreachable(error), type(error).__name__)
        return Finding("ark", False, f"{settings.ark_base_url} cannot be reached ({why}).")
    status = response.status_code
    if status in (401, 403):
        return Finding("ark", False, f"Reached, but it refuses the key ({status}).")
    if status == 404:
        return Finding("ark", False, _nowhere(settings))
    if status >= 500:
        return Finding("ark", False, f"Reached, but it is out of order ({status}).")
    if status != 200:
        return Finding("ark", True, f"Reached ({status}); only --call can tell about the key.")
    return Finding("ark", True, "Reached, and it takes the key.")


def _nowhere(settings: Settings) -> str:
    return (
        f"Reached, but {settings.ark_base_url} leads nowhere (404). Look at ARK_BASE_URL: "
        "Ark's ends in /api/v3, those of others often in /v1."
    )


async def _answer(settings: Settings, key: str, asked: Model) -> Finding:
    """Call the model as a conversation does: with the configured kind of memory, and without the
    fields that it refuses."""

    async def nothing() -> list[PromptMessage]:
        return []

    client = ArkClient(
        api_key=key,
        base_url=settings.ark_base_url,
        first_token_seconds=settings.first_token_seconds,
        idle_seconds=settings.idle_seconds,
    )
    model = asked.name

    async def forgotten(_: Capability) -> None:
        """Nothing is stored: the app learns for itself."""

    learned = Learned([], forgotten, now)
    memories = memories_for(
        settings.ark_memory, client, settings.ark_context_ttl, lambda _: asked.kinds, learned
    )
    ask = MemoryRequest(
        model=model,
        system=settings.system_prompt,
        question=PromptMessage("user", "1"),
        ref=None,
        held_tokens=0,
        load_history=nothing,
        begun=(),
        history_tokens=settings.history_tokens,
        options=CallOptions(FEW_TOKENS, thinking=asked.thinks("off")),
    )
    kind, stored, thought = "", set(), False
    try:
        async for event in memories.answer(ask):
            if isinstance(event, MemorySaved):
                kind = event.kind
            elif isinstance(event, Chunk):
                stored.add(event.ref)
                thought = thought or bool(event.thought or (event.tokens or Tokens()).reasoning)
        await memories.forget(sorted(stored))
    except ArkError as error:
        words = " ".join(error.detail.split())[:MOST_WORDS]
        return Finding("model", False, f"{error} ({error.for_log()}) {words}".strip())
    finally:
        await client.close()
    slow = " It cannot be told not to think, so it is slow to begin." if thought else ""
    kind = kind or memories.kind_for(model)
    return Finding("model", True, f"{model} answers, and remembers by {kind!r}.{slow}")
