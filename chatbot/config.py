"""Every setting: its variable, default and meaning, read once at the start.

The only file that reads the environment (and `.env`). Nothing here connects to anything.
"""

import os
import sys
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from chatbot.errors import BadSettings

ROOT = Path(__file__).resolve().parent.parent


def prepare_environment() -> None:
    """What has to be set before Gradio and httpx are imported: no telemetry, no proxy to here,
    and no trust of uvicorn's own in forwarded addresses (that is TRUSTED_PROXIES)."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ["FORWARDED_ALLOW_IPS"] = ""
    # A summary of the last 10,000 events, which Gradio would make with pandas at the end of each.
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(10**9))
    os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "1")
    # Gradio searches for the one in every frame, httpcore for the other in every request.
    for name in ("matplotlib", "sniffio"):
        if find_spec(name) is None:
            sys.modules[name] = None  # type: ignore[assignment]
    here = "127.0.0.1,localhost"
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = f"{os.environ[name]},{here}" if os.environ.get(name) else here


MemoryKind = Literal["auto", "context", "responses", "chat"]
Registration = Literal["auto", "open", "invite", "closed"]


class Settings(BaseSettings):
    """The app's settings; `Settings.from_env()` is how the app gets them.

    Variables are the field names in capitals. An empty variable counts as unset.
    """

    model_config = SettingsConfigDict(
        env_file=ROOT / ".env", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    ark_api_key: SecretStr | None = Field(None, description="Ark API key; without it: offline demo")
    ark_base_url: str = Field(
        "https://ark.cn-beijing.volces.com/api/v3", description="Ark or an OpenAI-compatible server"
    )
    ark_model: str = Field("", description="Endpoint id (ep-…) or model id")
    ark_memory: MemoryKind = Field("auto", description="How the model remembers a conversation")
    ark_context_ttl: int = Field(
        3600, ge=3600, le=604800, description="Seconds an idle Ark context lives"
    )
    system_prompt: str = Field(
        "你是豆包，一个乐于助人的 AI 助手。请用用户使用的语言回答。",
        description="What the model is told before each conversation",
    )
    history_tokens: int = Field(
        16000, ge=500, le=1_000_000, description="Most tokens of history given to a rebuilt memory"
    )
    max_input_chars: int = Field(
        20_000, ge=1, le=200_000, description="Longest message, characters"
    )
    max_output_tokens: int = Field(4096, ge=1, le=65536, description="Longest reply, tokens")

    first_token_seconds: float = Field(60, gt=0, description="Longest wait for the first token")
    idle_seconds: float = Field(60, gt=0, description="Longest silence in the middle of a reply")
    turn_seconds: float = Field(300, gt=0, description="Longest turn in all")
    orphan_seconds: float = Field(120, gt=0, description="A turn nobody watches ends after this")
    max_turns: int = Field(100, ge=1, description="Replies running at once in this process")
    max_turns_per_user: int = Field(2, ge=1, description="Replies running at once for one person")
    sends_per_minute: int = Field(
        20, ge=0, description="Messages one person may send in a minute; 0 for no limit"
    )

    user_daily_tokens: int = Field(
        200_000, ge=0, description="Tokens one person may use in a day; 0 for no limit"
    )
    daily_yuan: float = Field(
        10, ge=0, description="Yuan the whole app may spend in a day; 0 for no limit"
    )
    monthly_yuan: float = Field(
        100, ge=0, description="Yuan the whole app may spend in a month; 0 for no limit"
    )
    budget_zone: str = Field(
        "Asia/Shanghai", description="Time zone in which a budget's day begins"
    )
    paused: bool = Field(False, description="No new replies at all")
    price_input: float | None = Field(
        None, ge=0, description="Yuan per million input tokens; default by model"
    )
    price_cached: float | None = Field(
        None, ge=0, description="Yuan per million cached input tokens; default by model"
    )
    price_output: float | None = Field(
        None, ge=0, description="Yuan per million output tokens; default by model"
    )
    price_storage: float | None = Field(
        None, ge=0, description="Yuan per million cached tokens and hour; default by model"
    )

    database_url: str = Field(
        f"sqlite:///{ROOT / 'data' / 'chat.db'}", description="sqlite:///… or postgresql://…"
    )
    registration: Registration = Field("auto", description="Who may make an account")
    admin_name: str = Field("", description="Account of the owner, made at the start")
    admin_password: SecretStr | None = Field(
        None, description="Password of that account when it is made"
    )
    login_days: float = Field(7, gt=0, le=365, description="Days an unused login lasts")
    login_max_days: float = Field(
        30, gt=0, le=365, description="Days after which any login ends, used or not"
    )
    bcrypt_cost: int = Field(12, ge=4, le=16, description="bcrypt work factor; each step doubles")
    trusted_proxies: str = Field(
        "", description="Proxies whose X-Forwarded-For is believed: addresses, networks"
    )
    frame_ancestors: str = Field(
        "'self' https://huggingface.co https://*.modelscope.cn https://modelscope.cn",
        description="Sites that may show the app in a frame (CSP)",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="How much the app itself logs"
    )

    gradio_server_name: str = Field("127.0.0.1", description="Address to listen on")
    gradio_server_port: int | None = Field(None, description="Port; without it the first free one")
    gradio_share: bool = Field(False, description="Make a public share link")
    space_id: str = Field("", description="Set by Hugging Face Spaces; not yours to set")
    space_host: str = Field("", description="Set by Hugging Face Spaces; not yours to set")

    @classmethod
    def from_env(cls, **overrides: object) -> "Settings":
        """The settings of this environment; `BadSettings` names every one that is wrong."""
        try:
            return cls(**overrides)  # type: ignore[arg-type]
        except ValidationError as error:
            raise BadSettings(
                [
                    f"{'_'.join(map(str, e['loc'])).upper() or 'SETTINGS'}: {e['msg']}"
                    for e in error.errors(include_input=False, include_url=False)
                ]
            ) from None

    @field_validator("ark_base_url")
    @classmethod
    def _url(cls, value: str) -> str:
        parts = urlsplit(value)
        # The SDK glues the path on; a query string would end up in the middle.
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.query:
            raise ValueError("must look like https://host/api/v3, without a query string")
        return value.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "postgresql://", "postgres://")):
            raise ValueError("must start with sqlite:/// or postgresql://")
        return value

    @field_validator("budget_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError("must be the name of a time zone, such as Asia/Shanghai") from None
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, value: str) -> str:
        names = [name.strip() for name in value.split(",") if name.strip()]
        for name in names:
            try:
                ip_network(name)
            except ValueError:
                raise ValueError(
                    "must be addresses or networks, such as 127.0.0.1, 10.0.0.0/8"
                ) from None
        return ",".join(names)

    @model_validator(mode="after")
    def _model_with_key(self) -> "Settings":
        if self.ark_api_key is not None and not self.ark_model:
            raise ValueError("ARK_MODEL is needed with ARK_API_KEY: an endpoint id (ep-…) or model")
        return self

    @property
    def offline(self) -> bool:
        """True when there is no key, so the built-in local Ark answers."""
        return self.ark_api_key is None

    @property
    def is_public(self) -> bool:
        """True when others than the people at this machine can reach the app."""
        loopback = self.gradio_server_name in ("127.0.0.1", "localhost", "::1", "[::1]")
        return self.gradio_share or bool(self.space_id or self.trusted_proxies) or not loopback

    @property
    def hosted_without_disk(self) -> bool:
        """True on a hosted demo whose database a restart wipes (Spaces keep only `/data`)."""
        return (
            bool(self.space_id)
            and self.database_url.startswith("sqlite:///")
            and not self.database_url.startswith("sqlite:////data/")
        )
