"""The admins' commands beside the systemd service: its settings, its database."""

import os
import re
from pathlib import Path

import pytest

from chatbot import config, service_unit
from chatbot.config import ROOT, take_from_service
from chatbot.errors import BadSettings
from chatbot.service_unit import variables

UNIT = (ROOT / "deploy" / "chatbot.service").read_text(encoding="utf-8")


@pytest.fixture
def unit(tmp_path):
    """The unit of the project, as installed for this checkout, and its file of variables."""
    text = UNIT.replace("/opt/doubao-chat", str(ROOT))
    text = text.replace("/etc/doubao-chat.env", str(tmp_path / "chat.env"))
    (tmp_path / "chatbot.service").write_text(text, encoding="utf-8")
    return tmp_path / "chatbot.service"


def test_the_database_of_the_service_is_known(unit):
    assert variables(ROOT, unit)["DATABASE_URL"] == "sqlite:////var/lib/doubao-chat/chat.db"


def test_what_its_file_sets_wins(unit, tmp_path):
    (tmp_path / "chat.env").write_text(
        "# a comment\n; another\n\nDATABASE_URL='postgresql://h/d'\nARK_MODEL = ep=1 \nnonsense\n"
    )
    found = variables(ROOT, unit)
    assert found["DATABASE_URL"] == "postgresql://h/d"
    assert found["ARK_MODEL"] == "ep=1"


def test_what_was_added_by_systemctl_edit_counts(unit, tmp_path):
    added = tmp_path / "chatbot.service.d"
    added.mkdir()
    (added / "override.conf").write_text(
        '[Service]\nEnvironment="SYSTEM_PROMPT=two words" MAX_TURNS=3 \\\n  PAUSED=true\n'
    )
    found = variables(ROOT, unit)
    assert (found["SYSTEM_PROMPT"], found["MAX_TURNS"], found["PAUSED"]) == (
        "two words", "3", "true",
    )  # fmt: skip


def test_the_service_of_another_folder_is_none_of_ours(unit, tmp_path):
    assert variables(tmp_path, unit) == {}
    assert variables(ROOT, tmp_path / "nowhere.service") == {}


def test_a_file_that_only_root_may_read_is_reported(unit, tmp_path):
    file = tmp_path / "chat.env"
    file.write_text("ARK_API_KEY=secret")
    file.chmod(0)
    if os.access(file, os.R_OK):
        # Root reads everything, but no folder.
        file.unlink()
        file.mkdir()
    with pytest.raises(BadSettings, match="use sudo"):
        variables(ROOT, unit)


def test_a_variable_of_the_shell_wins_and_others_are_left_alone(unit, monkeypatch):
    given = variables(ROOT, unit)
    monkeypatch.setattr(service_unit, "variables", lambda _: given)
    monkeypatch.setattr(config.os, "environ", {"DATABASE_URL": "sqlite:///mine.db", "HOME": "/me"})
    take_from_service()
    assert config.os.environ["DATABASE_URL"] == "sqlite:///mine.db"
    assert config.os.environ["HOME"] == "/me"
    assert config.os.environ["TRUSTED_PROXIES"] == "127.0.0.1"


def test_the_documented_command_is_run_where_the_service_runs():
    [folder] = re.findall(r"^WorkingDirectory=(.+)$", UNIT, re.MULTILINE)
    assert re.search(rf"^#   cd {folder} && sudo \.venv/bin/python -m chatbot ", UNIT, re.MULTILINE)
    assert Path(service_unit.UNIT).name == "chatbot.service"
