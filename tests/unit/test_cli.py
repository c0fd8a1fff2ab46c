"""The admins' commands: what they do, what they print, and how they end."""

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from chatbot.ark.offline import Model
from chatbot.cli import app
from chatbot.clock import now
from chatbot.config import ROOT, Settings, language
from chatbot.storage import switches, users
from chatbot.storage.database import open_storage
from chatbot.storage.tables import Attempt, Conversation, Login, Message, State, Turn, User
from tests.fake_ark import FAULTS, FakeArk, Fault

PASSWORD = "correct horse"
KEY = "key-that-nobody-may-see"


@pytest.fixture(autouse=True)
def database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A database of its own, and nothing of the machine's settings."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'chat.db'}")
    monkeypatch.setenv("BCRYPT_COST", "4")
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    return tmp_path / "chat.db"


@pytest.fixture
def ark(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeArk]:
    with FakeArk(pace=0) as running:
        monkeypatch.setenv("ARK_API_KEY", KEY)
        monkeypatch.setenv("ARK_MODEL", "ep-test")
        monkeypatch.setenv("ARK_BASE_URL", running.base_url)
        yield running


def run(*words: str, code: int = 0, typed: str = "") -> str:
    """What a command prints below the name of its database; it has to end with this exit code."""
    result = CliRunner().invoke(app, words, input=typed)
    assert result.exit_code == code, result.output
    if code:
        assert isinstance(result.exception, SystemExit), result.exception
    return re.sub(r"\ADatabase: .+\n", "", result.output)


def values(*words: str, typed: str = ""):
    return json.loads(run(*words, "--json", typed=typed))


def add(name: str) -> None:
    run("users", "add", name, "--password-stdin", typed=f"{PASSWORD}\n")


def user(name: str):
    [row] = [row for row in values("users", "list") if row["name"] == name]
    return row


def stored(url: str, work):
    storage = open_storage(url)
    try:
        return storage.write_now(work)
    finally:
        storage.close()


def talk(name: str) -> str:
    """A session with an answered question and another version of the answer; its id."""
    person = users.by_name_key(name)
    conversation = Conversation.create(user=person, title="Weather")
    question = Message.create(conversation=conversation, role="user", content="Rain? 下雨吗")
    for answer in ("No.", "Yes."):
        reply = Message.create(
            conversation=conversation, parent=question, role="assistant", content=answer
        )
    Conversation.update(head_id=reply.id).execute()
    Turn.create(
        user=person.id, conversation=conversation.id, reply_id=reply.id, model="ep",
        refs="resp_secret", prompt_tokens=9, micro_yuan=12, state=State.COMPLETE,
    )  # fmt: skip
    Login.create(user=person, token_hash="hash-of-a-token", expires_at=now(), agent="Firefox")
    return str(conversation.id)


# Help


def commands(group=None, path=()):
    found = get_command(app) if group is None else group
    for name, command in found.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands())


def test_the_commands_are_these():
    assert sorted(COMMANDS) == [
        "admin create", "admin grant", "admin withdraw", "backup", "check", "export",
        "invites list", "invites new", "invites revoke", "restore", "usage", "users add",
        "users disable", "users enable", "users limit", "users list", "users reset-password",
    ]  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help_and_can_answer_in_json(name):
    command = COMMANDS[name]
    assert command.help
    assert all(getattr(parameter, "help", "") for parameter in command.params)
    told = run(*name.split(), "--help")
    assert "--json" in told
    assert command.help.splitlines()[0] in " ".join(told.split())


@pytest.mark.parametrize("words", ["", "users"])
def test_without_a_command_the_help_is_shown(words):
    assert "Commands:" in run(*words.split(), code=2)


# People


def test_an_admin_is_made():
    told = values("admin", "create", "Root", "--password-stdin", typed=f"{PASSWORD}\n")
    assert told == {"name": "Root", "is_admin": True}
    assert user("Root")["is_admin"]


def test_a_password_is_asked_for_twice_and_not_shown():
    output = run("admin", "create", "Root", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert PASSWORD not in output
    assert "Root is an admin." in output
    run("users", "add", "Ann", typed=f"{PASSWORD}\nanother horse\n", code=1)
    assert [row["name"] for row in values("users", "list")] == ["Root"]


def test_who_is_admin_can_be_changed_but_not_by_guessing_a_password():
    add("Ann")
    told = run("admin", "create", "ann", "--password-stdin", typed="another horse\n", code=1)
    assert told.count("\n") == 1
    assert not user("Ann")["is_admin"]
    run("admin", "grant", "ANN")
    assert user("Ann")["is_admin"]
    run("admin", "withdraw", "Ann")
    assert not user("Ann")["is_admin"]


def test_people_are_locked_out_and_let_in():
    add("Ann")
    run("users", "disable", "ann")
    assert user("Ann")["disabled"]
    assert "disabled" in run("users", "list")
    run("users", "enable", "ann")
    assert not user("Ann")["disabled"]


def test_a_reset_password_is_shown_once_and_works(database):
    add("Ann")
    password = values("users", "reset-password", "Ann")["password"]
    assert password not in run("users", "list")
    run("admin", "create", "Ann", "--password-stdin", typed=f"{password}\n")


@pytest.mark.parametrize(
    ("typed", "kept", "shown"), [("0", 0, "none"), ("900", 900, "900"), ("common", None, "common")]
)
def test_a_limit_is_set(typed, kept, shown):
    add("Ann")
    assert values("users", "limit", "Ann", typed)["daily_tokens"] == kept
    assert user("Ann")["daily_tokens"] == kept
    assert shown in run("users", "list")


def test_chinese_names_stand_in_line():
    add("李雷雷")
    add("Ann")
    heads, *rows = run("users", "list").splitlines()
    place = heads.index("kind")
    assert rows[0].startswith(" 1  李雷雷  -")
    assert rows[1][place] == "-"


# Invitations


def test_an_invitation_is_made_shown_and_revoked():
    made = values("invites", "new", "--uses", "3", "--days", "1.5", "--daily-tokens", "50")
    assert len(made["code"]) > 20
    [row] = values("invites", "list")
    assert (row["uses_left"], row["daily_tokens"], row["state"]) == (3, 50, "open")
    assert made["code"] not in run("invites", "list")
    run("invites", "revoke", str(row["id"]))
    assert [row["state"] for row in values("invites", "list")] == ["revoked"]


def test_the_code_is_ready_to_be_sent():
    assert "/?invite=" in run("invites", "new")


# Use


def test_use_is_shown_by_day(database):
    add("Ann")
    stored(f"sqlite:///{database}", lambda: (talk("ann"), switches.turn("paused", True)))
    found = values("usage", "--days", "3")
    assert [row["turns"] for row in found["days"]] == [0, 0, 1]
    assert found["days"][-1]["micro_yuan"] == 12
    assert (found["errors"], found["paused"]) == ({}, True)
    shown = run("usage")
    assert "New replies are paused." in shown
    assert len([line for line in shown.splitlines() if line.startswith("20")]) == 7


# Copies


def test_an_export_has_all_messages_and_no_secrets(database, tmp_path):
    add("Ann")
    add("Bob")
    session = stored(f"sqlite:///{database}", lambda: talk("ann"))
    text = run("export", "ann")
    [ann] = json.loads(text)["accounts"]
    assert ann["account"]["name"] == "Ann"
    assert [row["id"] for row in ann["sessions"]] == [session]
    said = [(m["role"], m["content"], m["after"]) for m in ann["sessions"][0]["messages"]]
    assert said == [
        ("user", "Rain? 下雨吗", None), ("assistant", "No.", 1), ("assistant", "Yes.", 1),
    ]  # fmt: skip
    assert [row["session"] for row in ann["usage"]] == [session]
    for secret in ("hash-of-a-token", "resp_secret", "$2b$"):
        assert secret not in text
    told = values("export", "--out", str(tmp_path / "all.json"))
    assert told["accounts"] == 2
    whole = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert [row["account"]["name"] for row in whole["accounts"]] == ["Ann", "Bob"]
    assert whole["usage_of_deleted_accounts"] == []


def test_a_backup_is_complete_while_others_write(database, tmp_path):
    storage = open_storage(f"sqlite:///{database}")
    storage.write_now(User.create, name="Ann", name_key="ann", password_hash="x")
    writer = sqlite3.connect(database)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO attempt (subject, at) VALUES ('unfinished', 0)")
    told = values("backup", str(tmp_path / "copy.db"))
    writer.rollback()
    writer.close()
    storage.close()
    assert told["bytes"] == (tmp_path / "copy.db").stat().st_size
    assert (tmp_path / "copy.db").stat().st_mode & 0o077 == 0
    assert list(tmp_path.glob("*.part")) == []
    copied = f"sqlite:///{tmp_path / 'copy.db'}"
    found = stored(copied, lambda: ([row.name for row in User.select()], Attempt.select().count()))
    assert found == (["Ann"], 0)


@pytest.mark.parametrize(("command", "file"), [("backup {}", "x"), ("export --out {}", "x")])
def test_no_file_is_overwritten(tmp_path, command, file):
    add("Ann")
    (tmp_path / file).write_text("mine", encoding="utf-8")
    told = run(*command.format(tmp_path / file).split(), code=1)
    assert "exists already" in told
    assert (tmp_path / file).read_text(encoding="utf-8") == "mine"


def test_a_backup_of_nothing_makes_nothing(database, tmp_path):
    assert "There is no database" in run("backup", str(tmp_path / "copy.db"), code=1)
    assert list(tmp_path.iterdir()) == []


def test_a_backup_of_something_else_says_so(database, tmp_path):
    database.write_bytes(b"no database " * 99)
    assert "could not be copied" in run("backup", str(tmp_path / "copy.db"), code=1)
    assert list(tmp_path.iterdir()) == [database]


def test_for_postgresql_pg_dump_is_named(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://ann:secret@192.0.2.1/chat")
    told = run("backup", "copy.db", code=1)
    assert "pg_dump" in told
    assert "secret" not in told


# Check


def findings(*words: str, code: int = 0) -> dict[str, tuple[bool, str]]:
    told = json.loads(run("check", *words, "--json", code=code))
    assert told["ok"] is (code == 0)
    return {row["name"]: (row["ok"], row["told"]) for row in told["checks"]}


def test_without_a_key_the_check_says_offline_and_makes_nothing(database):
    found = findings("--call")
    assert found["ark"][1].startswith("Offline")
    assert found["database"] == (True, "Not there yet; the first start makes it.")
    assert not database.exists()


def test_a_check_tells_what_the_next_start_will_change(database):
    add("Ann")
    assert "newest" in findings()["database"][1]
    with sqlite3.connect(database) as opened:
        opened.execute("DELETE FROM schema_migration WHERE name LIKE '0003%'")
    opened.close()
    assert "applies 0003_budgets" in findings()["database"][1]


def test_a_damaged_database_is_reported(database):
    database.write_bytes(b"no database " * 99)
    assert findings(code=1)["database"][0] is False


def test_a_check_calls_the_model_only_when_asked_to(ark):
    assert findings()["ark"] == (True, "Reached, and it takes the key.")
    assert not [call for call in ark.requests if call.method == "POST"]
    told = (True, "ep-test answers, and remembers by 'responses'.")
    assert findings("--call")["model"] == told
    [call] = [call for call in ark.requests if call.method == "POST"]
    assert call.path.endswith("/responses")
    assert call.body["max_output_tokens"] == 16
    assert ark.responses == {}, "what it stored is deleted"


@pytest.mark.parametrize(("memory", "path"), [("context", "/context/chat/completions"),
                                              ("chat", "/chat/completions")])  # fmt: skip
def test_the_model_is_asked_by_the_memory_that_is_set(ark, monkeypatch, memory, path):
    monkeypatch.setenv("ARK_MEMORY", memory)
    assert f"remembers by {memory!r}" in findings("--call")["model"][1]
    assert ark.requests[-1].path.endswith(path)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("not_opened", "Model activation"),
        ("retired", "ARK_MODEL"),
        ("limit_set", "Safe experience mode"),
        ("quota_gone", "开通管理"),
    ],
)
def test_a_check_says_what_to_click(ark, state, words):
    ark.states["ep-test"] = state
    good, told = findings("--call", code=1)["model"]
    assert (good, words in told, "ep-test" in told) == (False, True, True)


LITE = "doubao-seed-2-1-lite-260915"


def checks(*words: str, code: int = 0) -> list[dict[str, object]]:
    return json.loads(run("check", *words, "--json", code=code))["checks"]


def codes(*words: str, code: int = 0) -> dict[str, str]:
    return {str(row["name"]): str(row["code"]) for row in checks(*words, code=code)}


def asked_of(ark) -> list:
    return [call for call in ark.requests if call.method == "POST"]


def test_each_step_of_a_model_is_told_for_few_tokens(ark, monkeypatch):
    monkeypatch.setenv("ARK_MODEL", LITE)
    assert codes("--call") == {
        "settings": "settings_good", "database": "database_new", "prices": "price_listed",
        "ark": "reached", "model": "answers", "thinking": "thinking_off", "usage": "usage_told",
        "search": "search_open", "pictures": "pictures_read", "cost": "cost",
    }  # fmt: skip
    plain, search, picture = asked_of(ark)
    assert all(call.body["max_output_tokens"] <= 16 for call in (plain, search, picture))
    assert [bool(call.body.get("tools")) for call in (plain, search, picture)] == [0, 1, 0]
    assert "data:image/png;base64," in str(picture.body["input"])
    assert ark.responses == {}, "what they stored is deleted"
    told = findings("--call")["cost"][1]
    tokens, yuan = re.search(r"used (\d+) tokens in 3 calls, about ¥(\d+\.\d+)", told).groups()
    assert 0 < int(tokens) < 1_000
    assert 0 < float(yuan) < 0.01


def test_every_model_of_the_setting_is_asked(ark, monkeypatch):
    monkeypatch.setenv("ARK_MODEL", f"{LITE}, ep-1={LITE}, ep-2")
    ark.states[LITE] = "not_opened"
    told = [row for row in checks("--call", code=1) if row["name"] == "model"]
    assert [(row["model"], row["ok"], row["code"]) for row in told] == [
        (LITE, False, "model_not_open"), (f"ep-1={LITE}", True, "answers"),
        ("ep-2", True, "answers"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "fault", ["AuthenticationError", "InvalidSubscription", "AccountOverdueError"]
)
def test_what_every_model_would_answer_is_asked_once(ark, monkeypatch, fault):
    monkeypatch.setenv("ARK_MODEL", f"{LITE}, ep-2")
    ark.fail_next(FAULTS[fault].on("responses"))
    told = [row["code"] for row in checks("--call", code=1) if row["name"] == "model"]
    assert told[1:] == ["not_asked"]
    assert len(asked_of(ark)) == 1


def test_a_key_that_is_refused_is_not_used_again(ark, monkeypatch):
    monkeypatch.setenv("ARK_API_KEY", "wrong-key")
    assert "model" not in codes("--call", code=1)
    assert asked_of(ark) == []


@pytest.mark.parametrize("language", ["zh_CN.UTF-8", "zh_TW", "en_US.UTF-8", "de_DE", "C"])
def test_a_check_is_told_in_the_language_of_the_system(ark, monkeypatch, language):
    monkeypatch.setenv("LC_ALL", language)
    ark.states["ep-test"] = "not_opened"
    told = findings("--call", code=1)
    chinese = language.startswith("zh")
    assert ("尚未开通模型 ep-test" in told["model"][1]) is chinese
    assert ("已连接" in told["ark"][1]) is chinese
    assert ("is not opened" in told["model"][1]) is not chinese


@pytest.mark.parametrize(
    ("names", "chinese"),
    [
        ({"LANG": "zh_CN.UTF-8"}, True),
        ({"LC_MESSAGES": "zh_CN", "LANG": "en_US"}, True),
        ({"LC_ALL": "C", "LANG": "zh_CN"}, False),
        ({"LC_ALL": "", "LANG": "zh_CN"}, True),
    ],
)
def test_the_first_variable_that_is_set_names_the_language(monkeypatch, names, chinese):
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    assert (language() == "zh") is chinese


@pytest.mark.parametrize("locale_name", ["Chinese (Simplified)_China", "zh_CN"])
def test_a_system_without_these_variables_is_asked(monkeypatch, locale_name):
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("locale.getlocale", lambda: (locale_name, "936"))
    assert language() == "zh"


def test_a_check_tells_of_a_model_that_always_thinks(ark, monkeypatch):
    ark.models["ep-test"] = Model(thinking="always")
    assert codes("--call")["thinking"] == "thinking_always"
    assert codes("--call")["fields"] == "fields"
    assert "cannot be told not to think" in findings("--call")["thinking"][1]
    ark.models["ep-test"] = Model(thinking="on")
    assert codes("--call")["thinking"] == "thinking_off"
    monkeypatch.setenv("ARK_MODEL", "glm-5-3-flash-260828")
    assert codes("--call")["thinking"] == "thinking_known"


CLICKS = [
    ("ModelNotOpen", "开通管理"),
    ("InvalidEndpointOrModel.NotFound", "开通管理"),
    ("InvalidEndpointOrModel.ModelIDAccessDisabled", "在线推理"),
    ("InvalidEndpoint.ClosedEndpoint", "在线推理"),
    ("SetLimitExceeded", "安心体验模式"),
    ("QuotaExceeded", "开通管理"),
    ("AuthenticationError", "API Key 管理"),
    ("AccessDenied", "API Key 管理"),
    ("InvalidSubscription", "API Key 管理"),
    ("AccountOverdueError", "费用中心"),
]


@pytest.mark.parametrize(("fault", "page"), CLICKS)
@pytest.mark.parametrize("language", ["zh_CN", "en_US"])
def test_each_refusal_names_the_page_of_the_console(ark, monkeypatch, fault, page, language):
    monkeypatch.setenv("LC_ALL", language)
    monkeypatch.setenv("ARK_MEMORY", "chat")
    ark.fail_next(FAULTS[fault].on("chat"))
    good, told = findings("--call", code=1)["model"]
    # Where the English sentence does not say it, a second one does.
    assert (good, page in told) == (False, True), told
    assert KEY not in told


@pytest.mark.parametrize(
    ("memory", "missing"), [("chat", set()), ("context", {"thinking", "pictures"})]
)
def test_what_a_kind_of_memory_lacks_is_not_asked(ark, monkeypatch, memory, missing):
    monkeypatch.setenv("ARK_MODEL", f"ep-1={LITE}")
    monkeypatch.setenv("ARK_MEMORY", memory)
    told = codes("--call")
    assert told["search"] == "search_elsewhere"
    assert {"thinking", "pictures"} - told.keys() == missing


@pytest.mark.parametrize(
    ("fault", "code"),
    [("", "no_list"), ("ModelNotOpen", "no_list"), ("html", "nowhere")],
)
def test_a_server_without_a_list_is_judged_by_its_answer(ark, monkeypatch, fault, code):
    monkeypatch.setattr("chatbot.cli.ladder.httpx.get", lambda *_, **__: httpx.Response(404))
    monkeypatch.setenv("ARK_MEMORY", "chat")
    assert codes(code=1)["ark"] == "nowhere"
    if fault:
        refusal = Fault.html(404) if fault == "html" else FAULTS[fault]
        ark.fail_next(refusal.on("chat"))
    found = checks("--call", code=int(bool(fault)))
    assert [row["name"] for row in found][3:5] == ["ark", "model"]
    assert found[3]["code"] == code


def test_a_search_that_is_not_opened_is_told_with_the_click(ark, monkeypatch):
    monkeypatch.setenv("ARK_MODEL", LITE)
    ark.search_plugin = "closed"
    good, told = findings("--call")["search"]
    assert (good, "组件库" in told, "WEB_SEARCH=false" in told) == (True, True, True)
    assert "note    search" in run("check", "--call")
    monkeypatch.setenv("WEB_SEARCH", "false")
    assert "search" not in codes("--call")


def test_a_model_that_reads_no_pictures_is_told(ark, monkeypatch):
    monkeypatch.setenv("ARK_MODEL", LITE)
    ark.models[LITE] = Model(thinking="on", images=False)
    good, told = findings("--call")["pictures"]
    assert (good, "data/models.yaml" in told) == (True, True)


def test_usage_that_is_not_told_is_told(ark):
    ark.fail_next(FAULTS["no_usage"].on("responses"))
    assert codes("--call")["usage"] == "usage_missing"


def test_the_list_tells_of_models_that_are_shut_down_without_a_call(ark, monkeypatch):
    monkeypatch.setenv("ARK_MODEL", "doubao-seed-1-6-250615, doubao-1-5-pro-32k-250115")
    told = [row["code"] for row in checks() if row["name"] == "listed"]
    assert told == ["shut_down", "retiring"]
    assert codes("--call", code=1)["model"]


def test_a_check_tells_whether_prices_are_known(ark, monkeypatch):
    assert "dearest price" in findings()["prices"][1]
    monkeypatch.setenv("ARK_MODEL", "ep-test=doubao-seed-2-1-lite-260915")
    assert findings()["prices"][1].startswith("Known for ep-test")


def test_a_model_that_does_not_answer_fails_the_check(ark):
    ark.fail_next(FAULTS["AccountOverdueError"])
    good, told = findings("--call", code=1)["model"]
    assert not good
    assert "overdue" in told
    assert KEY not in told


def test_a_key_that_ark_refuses_fails_the_check(ark, monkeypatch):
    monkeypatch.setenv("ARK_API_KEY", "wrong-key")
    good, told = findings("--call", code=1)["ark"]
    assert (good, "refuses the key (401)" in told, "API Key 管理" in told) == (False, True, True)


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("http://no-such-host.invalid", "no machine of this name"),
        ("https://127.0.0.1:{port}", "certificate"),
        ("http://127.0.0.1:1", "ConnectError"),
    ],
)
def test_a_check_tells_why_an_address_cannot_be_reached(ark, monkeypatch, host, why):
    monkeypatch.setenv("ARK_BASE_URL", host.format(port=ark.port) + "/api/v3")
    good, told = findings(code=1)["ark"]
    assert (good, why in told) == (False, True), told


def test_ark_that_cannot_be_reached_fails_the_check(ark, monkeypatch):
    monkeypatch.setenv("ARK_BASE_URL", "http://127.0.0.1:1/api/v3")
    good, told = findings(code=1)["ark"]
    assert (good, "ConnectError" in told) == (False, True)


@pytest.mark.parametrize("key", ["schlüssel", "topsecret\nX-Other: 1"])
def test_a_key_that_cannot_be_sent_is_not_printed(ark, monkeypatch, key):
    monkeypatch.setenv("ARK_API_KEY", key)
    told = run("check", "--call", code=2)
    assert told.startswith("ARK_API_KEY: ")
    assert key.split()[0] not in told.replace("ARK_API_KEY", "")


@pytest.mark.parametrize("path", ["", "/api/v2", "/v1"])
def test_an_address_that_leads_nowhere_is_named(ark, monkeypatch, path):
    monkeypatch.setenv("ARK_BASE_URL", ark.base_url.removesuffix("/api/v3") + path)
    for words in (["check"], ["check", "--call"]):
        told = run(*words, code=1)
        assert "FAILED  ark: " in told
        assert "ARK_BASE_URL" in told


# How commands end


@pytest.mark.parametrize(
    "words",
    [
        "admin grant Nobody", "users disable Nobody", "users reset-password Nobody",
        "users limit Nobody 1", "invites revoke 9", "export Nobody",
    ],
)  # fmt: skip
def test_what_does_not_exist_is_one_sentence(words):
    told = run(*words.split(), code=1)
    assert told.startswith("There is no ")
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        "nonsense", "users nonsense", "users disable", "users limit Ann many",
        "users limit Ann 99999999999", "invites new --uses 0", "invites new --days 0",
        "invites new --days nan", "usage --days 0", "usage --days x",
        "users add x --password-stdin", "admin create Ann --password-stdin",
    ],
)  # fmt: skip
def test_bad_usage_ends_with_2(words):
    add("Ann2")
    run(*words.replace("limit Ann ", "limit Ann2 ").split(), typed="short\n", code=2)
    assert [row["name"] for row in values("users", "list")] == ["Ann2"]


def test_a_bad_setting_ends_with_2(monkeypatch):
    monkeypatch.setenv("MAX_TURNS", "0")
    for words in ("users list", "check", "backup x"):
        assert run(*words.split(), code=2).startswith("MAX_TURNS: ")


def test_a_database_that_refuses_is_one_sentence(monkeypatch, database):
    add("Ann")
    with sqlite3.connect(database) as opened:
        opened.execute("DROP TABLE invitation")
    opened.close()
    assert run("invites", "list", code=1) == (
        "The database refuses what this version asks of it: no such table: invitation\n"
    )


def test_without_a_terminal_it_says_how_to_pass_a_password(database):
    result = subprocess.run(
        [sys.executable, "-m", "chatbot", "admin", "create", "Root"],
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        start_new_session=True,
    )  # fmt: skip
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1].endswith("pass it with --password-stdin.")
    assert "Warning" not in result.stderr
    assert "Traceback" not in result.stderr


def test_as_a_program_it_tells_errors_in_one_sentence_and_does_not_load_gradio(database):
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "chatbot", "users", "disable", "Nobody"],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (result.returncode, result.stdout) == (1, "")
    imports, told = [], []
    for line in result.stderr.splitlines():
        (imports if line.startswith("import time:") else told).append(line)
    assert told == [f"Database: {database}", "There is no account 'Nobody'."]
    loaded = {line.rpartition("|")[2].strip() for line in imports}
    assert "chatbot.admin" in loaded
    assert "gradio" not in loaded
