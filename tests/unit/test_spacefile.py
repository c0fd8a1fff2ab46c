"""Spacefile keeps to the schema of Deta Space, version 0, and to this app's settings."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from chatbot.config import Settings
from chatbot.model_file import read_models

ROOT = Path(__file__).parents[2]
ENGINES = {
    "static", "react", "svelte", "vue", "next", "nuxt", "svelte-kit",
    "python3.9", "python3.8", "nodejs16", "custom",
}  # fmt: skip
MICRO_KEYS = {
    "name", "src", "engine", "primary", "path", "serve", "commands", "include", "run", "dev",
    "presets", "public_routes", "public", "provide_actions", "actions",
}  # fmt: skip


@pytest.fixture
def spacefile() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "Spacefile").read_text(encoding="utf-8"))


@pytest.fixture
def micro(spacefile: dict[str, Any]) -> dict[str, Any]:
    [only] = spacefile["micros"]
    return only


@pytest.fixture
def presets(micro: dict[str, Any]) -> list[dict[str, str]]:
    assert micro["presets"].keys() <= {"env", "api_keys"}
    return micro["presets"]["env"]


def test_the_top_has_only_known_keys_of_the_right_kind(spacefile):
    assert {"v", "micros"} <= spacefile.keys() <= {"v", "icon", "app_name", "micros"}
    assert spacefile["v"] == 0
    assert isinstance(spacefile["v"], int)
    assert 1 <= len(spacefile["app_name"]) <= 12
    assert "icon" not in spacefile or (ROOT / spacefile["icon"]).is_file()


def test_the_micro_has_only_known_keys_of_the_right_kind(micro):
    assert {"name", "src", "engine"} <= micro.keys() <= MICRO_KEYS
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", micro["name"])
    assert micro["engine"] in ENGINES
    assert micro["primary"] is True
    # Neither belongs to a Python engine.
    assert "serve" not in micro
    assert not {"public", "public_routes"} <= micro.keys()


def test_the_micro_runs_the_app(micro):
    assert micro["engine"] == "python3.9", "the newest that the schema knows"
    command, file = micro["run"].split()
    assert command == "python"
    assert (ROOT / micro["src"] / file).is_file()


def test_presets_are_texts_with_a_meaning(presets):
    assert presets
    for preset in presets:
        assert {"name", "description"} <= preset.keys() <= {"name", "description", "default"}
        assert all(isinstance(value, str) and value for value in preset.values())


def test_every_preset_is_a_setting(presets):
    names = [preset["name"] for preset in presets]
    assert len(names) == len(set(names))
    assert set(names) <= {name.upper() for name in Settings.model_fields}
    assert {"ARK_API_KEY", "ARK_MODEL"} <= set(names)


def test_the_app_starts_with_the_presets(presets, monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    for preset in presets:
        monkeypatch.setenv(preset["name"], preset.get("default", ""))
    assert Settings.from_env().offline


def test_the_preset_names_a_model_that_is_known(presets):
    [told] = [preset["description"] for preset in presets if preset["name"] == "ARK_MODEL"]
    assert any(name in told for name in read_models(ROOT / "data" / "models.yaml").models)


def test_no_preset_holds_a_secret(presets):
    assert not [p for p in presets if p["name"] == "ARK_API_KEY" and "default" in p]


def test_it_says_that_deta_space_is_closed():
    text = (ROOT / "Spacefile").read_text(encoding="utf-8")
    comment = " ".join(line for line in text.splitlines() if line.startswith("#"))
    assert "closed in October 2024" in comment
    assert "Hugging Face Spaces" in comment
