"""`check`: whether the app can start with these settings, and what the models can really do."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from chatbot.ark.client import ARK_PATH
from chatbot.budget import prices_are_known
from chatbot.cli.findings import Findings
from chatbot.cli.ladder import call_models, look_at_ark
from chatbot.cli.services import AsJson, answer, at_database
from chatbot.config import Settings, language
from chatbot.errors import BadSettings
from chatbot.model_file import configured_models, read_models
from chatbot.storage.upkeep import pending_migrations


def check(
    call: Annotated[
        bool,
        typer.Option(
            "--call",
            help="Also call each model of ARK_MODEL, up to three times and for 16 tokens at most: "
            "memory, thinking, web search, pictures. Ark bills that, mostly less than ¥0.01 a "
            "model; the end tells how much it was.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look at settings, database and model service; changes nothing.

    Without --call nothing is billed: Ark is asked for its list of models, which tells whether it
    can be reached and takes the key, but not whether the models of ARK_MODEL answer.
    """
    settings = Settings.from_env()
    at_database(settings.database_url)
    found = Findings(language(), bool(ARK_PATH.search(settings.ark_base_url)))
    found.good("settings", "settings_good")
    _database(settings, found)
    if settings.ark_api_key is None:
        found.good("ark", "offline")
    else:
        _prices(settings, found)
        if look_at_ark(settings, found, call) and call:
            call_models(settings, found)
    good = all(finding.ok for finding in found.all)
    lines = [finding.line for finding in found.all]
    answer(as_json, {"ok": good, "checks": [asdict(finding) for finding in found.all]}, *lines)
    if not good:
        raise typer.Exit(1)


def _database(settings: Settings, found: Findings) -> None:
    try:
        pending = pending_migrations(settings.database_url)
    except BadSettings as error:
        found.bad("database", "database_bad", why=" ".join(str(error).split()))
        return
    if pending is None:
        found.good("database", "database_new")
    elif pending:
        found.good("database", "database_old", names=", ".join(pending))
    else:
        found.good("database", "database_good")


def _prices(settings: Settings, found: Findings) -> None:
    read_on = read_models(Path(settings.models_file)).prices_read
    for model in configured_models(settings).all:
        if model.prices is not None:
            found.good("prices", "price_listed", model.name, day=read_on)
        elif prices_are_known(settings, model):
            found.good("prices", "price_set", model.name)
        else:
            found.note("prices", "price_unknown", model.name)
