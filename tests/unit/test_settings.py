"""No setting ends in a traceback: whatever stands in a variable or in `.env`, the app works with
it, or one sentence names the variable."""

import os
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chatbot import proxies
from chatbot.ark.client import ArkClient
from chatbot.budget import Budget
from chatbot.config import Settings, prepare_environment
from chatbot.errors import BadSettings
from chatbot.model_file import configured_models
from chatbot.storage.place import sqlite_file
from chatbot.ui.guard import POLICY

NAMES = [name.upper() for name in Settings.model_fields]
ARK = "https://ark.cn-beijing.volces.com"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch, tmp_path):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setitem(Settings.model_config, "env_file", tmp_path / ".env")


# One by one

TAKEN = [
    ("ARK_API_KEY", " abc\n", "abc"),
    ("ARK_API_KEY", '"abc"', "abc"),
    ("ARK_API_KEY", "Bearer abc", "abc"),
    ("ARK_API_KEY", "bearer  abc ", "abc"),
    ("ARK_API_KEY", "\ufeffabc", "abc"),
    ("ARK_MODEL", "ep-1\n", "ep-1"),
    ("ARK_MODEL", '"ep-1"', "ep-1"),
    ("ARK_BASE_URL", f"  {ARK}/api/v3/ ", f"{ARK}/api/v3"),
    ("ARK_BASE_URL", f"{ARK}/api/coding/v3", f"{ARK}/api/coding/v3"),
    ("ARK_BASE_URL", "http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
    ("ARK_BASE_URL", "http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    ("ARK_BASE_URL", "http://ark.internal", "http://ark.internal"),
    ("ARK_MEMORY", " Chat ", "chat"),
    ("REGISTRATION", "OPEN", "open"),
    ("LOG_LEVEL", "debug", "DEBUG"),
    ("GRADIO_SERVER_NAME", "::1", "[::1]"),
    ("GRADIO_SERVER_NAME", "[::1]", "[::1]"),
    ("GRADIO_SERVER_NAME", "::", "[::]"),
    ("GRADIO_SERVER_NAME", " 0.0.0.0 ", "0.0.0.0"),
    ("GRADIO_SERVER_PORT", " 7860 ", 7860),
    ("GRADIO_SHARE", " True", True),
    ("MAX_TURNS", '"3"', 3),
    ("BUDGET_ZONE", " Asia/Shanghai ", "Asia/Shanghai"),
    ("TRUSTED_PROXIES", "::1 , 10.0.0.0/8", "::1,10.0.0.0/8"),
    ("ALLOWED_HOSTS", "Chat.example.com , [::1]:8443,", "chat.example.com,[::1]:8443"),
    ("FRAME_ANCESTORS", "'self'", "'self'"),
    ("SYSTEM_PROMPT", "First.\n  Second.", "First.\n  Second."),
    ("ADMIN_PASSWORD", ' "as typed" ', ' "as typed" '),
    ("DATABASE_URL", "sqlite:////srv/a#b?c%20d/chat.db", "sqlite:////srv/a#b?c%20d/chat.db"),
    ("DATABASE_URL", "postgresql://u:p%23@h:5432/d", "postgresql://u:p%23@h:5432/d"),
    # Blank is unset.
    ("ARK_API_KEY", "  ", None),
    ("ARK_API_KEY", '""', None),
    ("MAX_TURNS", " ", 100),
    ("GRADIO_SERVER_NAME", "\n", "127.0.0.1"),
]


@pytest.mark.parametrize(("name", "typed", "taken"), TAKEN)
def test_a_value_is_taken_for_what_it_means(monkeypatch, name, typed, taken):
    if name == "ARK_API_KEY":
        monkeypatch.setenv("ARK_MODEL", "ep-1")
    monkeypatch.setenv(name, typed)
    value = getattr(Settings.from_env(), name.lower())
    assert (value.get_secret_value() if hasattr(value, "get_secret_value") else value) == taken


REFUSED = [
    ("ARK_API_KEY", "“abc”", "characters that no key has"),
    ("ARK_API_KEY", "my key", "characters that no key has"),
    ("ARK_API_KEY", "密钥", "characters that no key has"),
    ("ARK_MODEL", "ep-1\nep-2", "one line"),
    ("ARK_BASE_URL", ARK, "/api/v3"),
    ("ARK_BASE_URL", f"{ARK}/api", "/api/v3"),
    ("ARK_BASE_URL", f"{ARK}/api/v3/chat/completions", "before /chat/completions"),
    ("ARK_BASE_URL", f"{ARK}/api/v3/responses/", "before /responses"),
    ("ARK_BASE_URL", "https://host:99999/v1", "port"),
    ("ARK_BASE_URL", "https://host:x/v1", "port"),
    ("ARK_BASE_URL", "https://user:secret@host/v1", "without a name and password"),
    ("ARK_BASE_URL", "https://ho st/v1", "must look like"),
    ("ARK_BASE_URL", "https://[::1/v1", "must look like"),
    ("ARK_BASE_URL", "https://host/v1#x", "query"),
    ("ARK_BASE_URL", "ftp://host/v1", "must look like"),
    ("ARK_BASE_URL", "https://方舟/v3", "no name of a host"),
    ("GRADIO_SERVER_NAME", "http://localhost", "address or a name"),
    ("GRADIO_SERVER_NAME", "127.0.0", "address or a name"),
    ("GRADIO_SERVER_NAME", "my host", "address or a name"),
    ("GRADIO_SERVER_PORT", "0", "greater than or equal to 1"),
    ("GRADIO_SERVER_PORT", "-1", "greater than or equal to 1"),
    ("GRADIO_SERVER_PORT", "99999", "less than or equal to 65535"),
    ("IDLE_SECONDS", "inf", "less than"),
    ("IDLE_SECONDS", "nan", "less than"),
    ("DAILY_YUAN", "nan", "less than"),
    ("DAILY_YUAN", "1e300", "less than"),
    ("MAX_TURNS", "9" * 5000, "integer"),
    ("USER_DAILY_TOKENS", "1" * 40, "less than"),
    ("DATABASE_URL", "sqlite:///", "path of a file"),
    ("DATABASE_URL", "sqlite:///:memory:", "path of a file"),
    ("DATABASE_URL", "sqlite:///file::memory:", "path of a file"),
    ("DATABASE_URL", "sqlite://chat.db", "sqlite:///"),
    ("DATABASE_URL", "postgresql://u:secret@h:x/d", "must look like"),
    ("DATABASE_URL", "postgresql://u:secret@h", "must look like"),
    ("DATABASE_URL", "postgresql://u:sec#ret@h/d", "%23"),
    ("BUDGET_ZONE", "../../etc/passwd", "time zone"),
    ("BUDGET_ZONE", "a" * 5000, "time zone"),
    ("TRUSTED_PROXIES", "10.0.0.1/8", "addresses or networks"),
    ("ALLOWED_HOSTS", "https://chat.example.com", "must be host names"),
    ("ALLOWED_HOSTS", "*.example.com", "must be host names"),
    ("ALLOWED_HOSTS", "chat.example.com、demo.example", "must be host names"),
    ("TRUSTED_PROXIES", "127.0.0.1、::1", "addresses or networks"),
    ("FRAME_ANCESTORS", "'self'; script-src *", "sources"),
    ("FRAME_ANCESTORS", "https://例子.cn", "sources"),
    ("FRAME_ANCESTORS", "x\r\nSet-Cookie: a=b", "sources"),
    ("SPACE_HOST", "evil.example/path", "must be a host"),
    ("SYSTEM_PROMPT", "half \udcff", "UTF-8"),
    ("SYSTEM_PROMPT", "bell \x07", "U+0007"),
    ("ADMIN_NAME", "Ann\x1b[31m", "U+001B"),
]


@pytest.mark.parametrize(("name", "typed", "told"), REFUSED)
def test_a_value_that_cannot_be_used_is_named(monkeypatch, name, typed, told):
    monkeypatch.setenv("ARK_MODEL", "ep-1")
    monkeypatch.setenv(name, typed)
    with pytest.raises(BadSettings) as caught:
        Settings.from_env()
    assert str(caught.value).startswith(f"{name}: ")
    assert told in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "abc" not in str(caught.value)


# All at once

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
WORDS = TEXTS | st.sampled_from(
    [typed for _, typed, _ in [*TAKEN, *REFUSED]]
    + [
        "",
        " ",
        "0",
        "-1",
        "1e9",
        "inf",
        "nan",
        "true",
        "'",
        '"',
        "[::1]",
        "a" * 3000,
        "٣",
        "\ufeff",
    ]
)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.dictionaries(st.sampled_from(NAMES), WORDS, max_size=5))
@example({"ARK_API_KEY": "k", "ARK_MODEL": "ep-1", "IDLE_SECONDS": "1e-300"})
@example({"LOGIN_DAYS": "1e-12", "LOGIN_MAX_DAYS": "1e-12"})
def test_any_values_make_settings_that_can_be_used_or_one_sentence(monkeypatch, variables):
    with monkeypatch.context() as environment:
        for name, value in variables.items():
            environment.setenv(name, value)
        try:
            made = Settings.from_env()
        except BadSettings as error:
            told = str(error)
            assert any(told.startswith(f"{name}: ") for name in NAMES) or "SETTINGS: " in told
            assert "\n" not in told
            return
    # What the start does with them, up to opening the database and listening.
    key = made.ark_api_key.get_secret_value() if made.ark_api_key else "offline"
    client = ArkClient(
        api_key=key,
        base_url=made.ark_base_url,
        first_token_seconds=made.first_token_seconds,
        idle_seconds=made.idle_seconds,
    )
    assert client
    httpx.Request("POST", f"{made.ark_base_url}/chat/completions", headers={"Authorization": key})
    made.system_prompt.encode()
    try:
        models = configured_models(made)
    except BadSettings:
        # Not a list of models, or a model named twice.
        return
    budget = Budget.of(made, models)
    assert budget
    assert ZoneInfo(made.budget_zone)
    POLICY.format(frame_ancestors=made.frame_ancestors).encode("latin-1")
    assert sqlite_file(made.database_url) is None or "sqlite" in made.database_url
    assert repr(made)
    assert made.is_public in (True, False)


# .env


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("SYSTEM_PROMPT=你好".encode("gbk"), "is not UTF-8 text"),
        ("ARK_MODEL=ep-1\n".encode("utf-16"), "is not UTF-8 text"),
        ("ARK_MODEL=ep-1\n".encode("utf-16-le"), "is not UTF-8 text"),
        (b"ARK_MODEL=ep\0-1\n", "is not UTF-8 text"),
        (b"MAX_TURNS=3\nARK_MODEL='ep-1\nMAX_TURNS=4\n", "line 2"),
        (b"MAX_TURNS=3\n=x\n", "line 2"),
    ],
)
def test_an_unreadable_file_is_reported(tmp_path, content, told):
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(BadSettings) as caught:
        Settings.from_env()
    assert str(tmp_path / ".env") in str(caught.value)
    assert told in str(caught.value)


def test_a_file_of_a_windows_editor_is_read(tmp_path):
    text = "ARK_MODEL=ep-1\r\nSYSTEM_PROMPT=你好\r\n"
    (tmp_path / ".env").write_bytes(text.encode("utf-8-sig"))
    found = Settings.from_env()
    assert (found.ark_model, found.system_prompt) == ("ep-1", "你好")


def test_a_folder_or_a_link_to_nowhere_in_its_place_is_told(tmp_path):
    (tmp_path / ".env").mkdir()
    with pytest.raises(BadSettings, match="is a folder"):
        Settings.from_env()
    (tmp_path / ".env").rmdir()
    (tmp_path / ".env").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BadSettings, match="cannot be read"):
        Settings.from_env()


def test_a_file_without_read_permission_is_reported(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("MAX_TURNS=3")
    (tmp_path / ".env").chmod(0)
    if os.access(tmp_path / ".env", os.R_OK):
        # Root may read anything: this file of the kernel's is one that nobody may read.
        monkeypatch.setitem(Settings.model_config, "env_file", Path("/proc/self/mem"))
    with pytest.raises(BadSettings, match="cannot be read"):
        Settings.from_env()


# Paths of SQLite


@pytest.mark.parametrize("name", ["a#b.db", "a?b.db", "a%20b.db", "a b.db", "ä&ö.db", "a;b'c.db"])
def test_a_path_is_taken_to_the_character(tmp_path, name):
    from chatbot.storage.database import open_storage

    folder = tmp_path / "my#app?x"
    open_storage(f"sqlite:///{folder / name}").close()
    assert (folder / name).is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["my#app?x"]


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert sqlite_file("sqlite:///~/chat.db") == tmp_path / "chat.db"


# Proxies


@pytest.mark.parametrize(
    ("before", "hosts"),
    [
        ({}, ""),
        ({"NO_PROXY": "ark.internal"}, "ark.internal"),
        ({"no_proxy": "ark.internal"}, "ark.internal"),
        ({"NO_PROXY": "a.b", "no_proxy": "c.d"}, "a.b,c.d"),
        ({"no_proxy": "[::1], ::1/128 ;10.0.0.0/8"}, "::1,10.0.0.0/8"),
        ({"no_proxy": '"*.corp.example:8080"'}, "*.corp.example:8080"),
        ({"no_proxy": "fd00::/8 ho:st:x ]["}, ""),
    ],
)
def test_both_spellings_get_all_hosts_and_this_machine(before, hosts):
    environment = dict(before)
    assert proxies.tidy(environment) == []
    assert environment["NO_PROXY"] == environment["no_proxy"]
    found = environment["no_proxy"].split(",")
    assert found == [*([*hosts.split(",")] if hosts else []), "127.0.0.1", "localhost"]


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (" http://proxy:3128 ", "http://proxy:3128"),
        ('"http://proxy:3128"', "http://proxy:3128"),
        ("proxy:3128", "proxy:3128"),
        ("socks5://127.0.0.1:1080", "socks5://127.0.0.1:1080"),
        ("socks5h://u:p@127.0.0.1:1080", "socks5h://u:p@127.0.0.1:1080"),
        ("  ", None),
    ],
)
def test_a_proxy_is_trimmed(typed, kept):
    environment = {"ALL_PROXY": typed}
    assert proxies.tidy(environment) == []
    assert environment.get("ALL_PROXY") == kept


@pytest.mark.parametrize(
    "typed", ["socks4://h:1", "http://h:99999", "http://h:x", "ftp://h", "http://", "http://ho st"]
)
def test_a_proxy_that_no_client_can_use_is_named_without_its_password(typed):
    [told] = proxies.tidy({"https_proxy": typed})
    assert told.startswith("https_proxy: ")


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["NO_PROXY", "no_proxy", "ALL_PROXY", "http_proxy", "HTTPS_PROXY"]),
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
        | st.sampled_from(
            ["[::1]", "::1/128", "10.0.0.1/8", "*", "http://[::1", "socks5://h", "."]
        ),
    )
)
def test_any_proxy_variables_make_a_client_or_a_sentence(variables):
    environment = dict(variables)
    if proxies.tidy(environment):
        return
    with pytest.MonkeyPatch.context() as patched:
        for name in ("NO_PROXY", "ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"):
            patched.delenv(name, raising=False)
            patched.delenv(name.lower(), raising=False)
        for name, value in environment.items():
            patched.setenv(name, value)
        httpx.Client().close()


# Gradio's


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GRADIO_NUM_PORTS", "abc"),
        ("GRADIO_NUM_PORTS", "0"),
        ("GRADIO_NUM_WORKERS", "4"),
        ("GRADIO_DEFAULT_CONCURRENCY_LIMIT", "x"),
        ("GRADIO_ANALYTICS_MAX_EVENTS", "1.5"),
        ("GRADIO_ROOT_PATH", "abc def"),
        ("GRADIO_ROOT_PATH", "http://[::1"),
        ("GRADIO_TEMP_DIR", "/proc/nowhere"),
        ("SSL_CERT_FILE", "/nowhere"),
        ("SSL_CERT_DIR", "/nowhere"),
        ("ALL_PROXY", "socks4://h:1"),
    ],
)
def test_a_variable_of_others_that_would_end_in_a_traceback_is_named(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings, match=f"^{name}: "):
        prepare_environment()


def test_a_blank_variable_of_gradios_is_none(monkeypatch):
    monkeypatch.setenv("GRADIO_NUM_PORTS", " ")
    monkeypatch.setenv("GRADIO_ROOT_PATH", " /chat ")
    prepare_environment()
    assert "GRADIO_NUM_PORTS" not in os.environ
    assert os.environ["GRADIO_ROOT_PATH"] == "/chat"
