"""`check`: whether the app can be started like this, and whether Ark takes the key."""

import asyncio
from dataclasses import asdict, dataclass
from typing import Annotated

import httpx
import typer

from chatbot.ark.chunks import Line
from chatbot.ark.client import ArkClient
from chatbot.cli.desk import AsJson, answer, at_database
from chatbot.config import Settings
from chatbot.errors import ArkError, BadSettings
from chatbot.storage.upkeep import pending_migrations

SECONDS = 15


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    told: str


def check(
    call: Annotated[
        bool,
        typer.Option("--call", help="Also have the model write one token, which Ark bills."),
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


def _ark(settings: Settings, call: bool) -> list[Finding]:
    if settings.ark_api_key is None:
        told = "Offline: without ARK_API_KEY the built-in local Ark answers."
        return [Finding("ark", True, told)]
    key = settings.ark_api_key.get_secret_value()
    found = _models(settings, key)
    if not call or not (found.ok or found.told == _nowhere(settings)):
        return [found]
    answer = asyncio.run(_answer(settings, key))
    if not found.ok and answer.ok:
        found = Finding("ark", True, "Reached; it has no list of models.")
    return [found, answer]


def _models(settings: Settings, key: str) -> Finding:
    address = f"{settings.ark_base_url}/models"
    try:
        response = httpx.get(address, headers={"Authorization": f"Bearer {key}"}, timeout=SECONDS)
    except httpx.HTTPError as error:
        # The error's own words are left out: those about a header would tell the key.
        why = type(error).__name__
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


async def _answer(settings: Settings, key: str) -> Finding:
    client = ArkClient(
        api_key=key,
        base_url=settings.ark_base_url,
        first_token_seconds=settings.first_token_seconds,
        idle_seconds=settings.idle_seconds,
    )
    try:
        async for _ in client.stream_chat(settings.ark_model, [Line("user", "1")], 1):
            pass
    except ArkError as error:
        return Finding("model", False, f"{error} ({error.for_log()})")
    finally:
        await client.close()
    return Finding("model", True, f"{settings.ark_model} answers.")
