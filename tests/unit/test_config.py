"""Settings: what they are without an environment, and how a wrong one is told."""

import pytest

from chatbot.config import Settings
from chatbot.errors import BadSettings


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    """Only what a test sets counts, not the machine's environment or a `.env` in the folder."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setitem(Settings.model_config, "env_file", None)


def test_without_a_key_the_app_is_offline_and_private():
    settings = Settings.from_env()
    assert settings.offline
    assert not settings.is_public
    assert not settings.hosted_without_disk


def test_an_empty_variable_counts_as_unset(monkeypatch):
    monkeypatch.setenv("ARK_API_KEY", "")
    monkeypatch.setenv("MAX_TURNS", "")
    settings = Settings.from_env()
    assert settings.offline
    assert settings.max_turns == 100


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("ARK_CONTEXT_TTL", "60", "greater than or equal to 3600"),
        ("ARK_CONTEXT_TTL", "soon", "valid integer"),
        ("ARK_MEMORY", "elephant", "'auto', 'context'"),
        ("ARK_BASE_URL", "ark.cn-beijing.volces.com", "https://host/api/v3"),
        ("ARK_BASE_URL", "https://host/v3?x=1", "without a query string"),
        ("DATABASE_URL", "mysql://x/y", "sqlite:///"),
        ("REGISTRATION", "perhaps", "'open'"),
        ("ORPHAN_SECONDS", "0", "greater than 0"),
        ("TRUSTED_PROXIES", "*", "addresses or networks"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, proxy", "addresses or networks"),
        ("GRADIO_SERVER_PORT", "http", "valid integer"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(monkeypatch, name, value, told):
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings) as caught:
        Settings.from_env()
    assert name in str(caught.value)
    assert told in str(caught.value)


def test_all_wrong_settings_are_named_at_once(monkeypatch):
    monkeypatch.setenv("MAX_TURNS", "0")
    monkeypatch.setenv("IDLE_SECONDS", "-1")
    with pytest.raises(BadSettings, match=r"IDLE_SECONDS.*MAX_TURNS"):
        Settings.from_env()


def test_a_key_without_a_model_is_reported(monkeypatch):
    monkeypatch.setenv("ARK_API_KEY", "k")
    with pytest.raises(BadSettings, match="ARK_MODEL"):
        Settings.from_env()


def test_the_key_is_in_no_repr_and_no_error(monkeypatch):
    monkeypatch.setenv("ARK_API_KEY", "very-secret-key")
    monkeypatch.setenv("ARK_MODEL", "ep-1")
    assert "very-secret-key" not in repr(Settings.from_env())
    monkeypatch.setenv("ARK_MODEL", "")
    with pytest.raises(BadSettings) as caught:
        Settings.from_env()
    assert "very-secret-key" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "public"),
    [
        ({}, False),
        ({"GRADIO_SERVER_NAME": "localhost"}, False),
        ({"GRADIO_SERVER_NAME": "0.0.0.0"}, True),
        ({"GRADIO_SHARE": "true"}, True),
        ({"TRUSTED_PROXIES": "127.0.0.1"}, True),
    ],
)
def test_who_can_reach_the_app(monkeypatch, variables, public):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert Settings.from_env().is_public is public


@pytest.mark.parametrize(
    ("url", "wiped"),
    [
        ("sqlite:////data/chat.db", False),
        ("sqlite:////home/user/app/data/chat.db", True),
        ("postgresql://u@h/d", False),
    ],
)
def test_a_space_without_a_disk_is_known(monkeypatch, url, wiped):
    monkeypatch.setenv("SPACE_ID", "someone/demo")
    monkeypatch.setenv("DATABASE_URL", url)
    assert Settings.from_env().hosted_without_disk is wiped
