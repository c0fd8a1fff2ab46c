"""All settings: variable, default and meaning. They are read once at the start.

The only file that reads the environment (and `.env`). Nothing here connects to anything.
"""

import locale
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from chatbot import proxies, service_unit, values
from chatbot.errors import BadSettings

ROOT = Path(__file__).resolve().parent.parent
Language = Literal["en", "zh"]


def prepare_environment() -> None:
    """Set variables before Gradio and httpx are imported: no telemetry, no proxy for local
    addresses, and uvicorn does not trust forwarded addresses (TRUSTED_PROXIES does that).

    Raises `BadSettings` for variables of Gradio and httpx that would cause a traceback.
    """
    problems = [*_tidy_gradio(), *proxies.tidy(os.environ), *_certificates()]
    if problems:
        raise BadSettings(problems)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ["FORWARDED_ALLOW_IPS"] = ""
    # Gradio would summarize the last 10,000 events with pandas after each event.
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(10**9))
    os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "1")


def language() -> Language:
    """The language of the commands: Chinese if the system's is, else English."""
    # As POSIX orders them: the first that is set decides (Base Definitions, 8.2).
    named = (os.environ.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    # Windows sets none of them, and calls it "Chinese (Simplified)_China".
    told = next(filter(None, named), None) or locale.getlocale()[0] or ""
    return "zh" if told.lower().startswith(("zh", "chinese")) else "en"


def take_from_service() -> None:
    """Load the settings of the app's systemd service for the admins' commands, if the service runs
    from this folder. A variable that is already set wins. Raises `BadSettings`."""
    for name, value in service_unit.variables(ROOT).items():
        if name.lower() in Settings.model_fields:
            os.environ.setdefault(name, value)


def hide_from_gradio() -> None:
    """Remove variables that Gradio would read in another way: the app itself decides where to
    listen. Call it after the settings are read and before Gradio is imported."""
    for name in Settings.model_fields:
        if name.startswith("gradio_"):
            os.environ.pop(name.upper(), None)


GRADIO_NUMBERS = {
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": range(1, 10**9 + 1),
    "GRADIO_ANALYTICS_MAX_EVENTS": range(1, 10**9 + 1),
    "GRADIO_NODE_NUM_PORTS": range(1, 65536),
    "GRADIO_NODE_SERVER_PORT": range(1, 65536),
    "GRADIO_NUM_PORTS": range(1, 65536),
    "GRADIO_NUM_WORKERS": range(2),
}
"""Variables that Gradio reads as integers. Only one worker: several would not share turns."""


def _tidy_gradio() -> list[str]:
    """Trim Gradio's variables and remove blank ones; returns the problems of the others."""
    problems = []
    for name in [name for name in os.environ if name.startswith("GRADIO_")]:
        os.environ[name] = os.environ[name].strip()
        if not os.environ[name]:
            del os.environ[name]
    for name, allowed in GRADIO_NUMBERS.items():
        value = os.environ.get(name, str(allowed[0]))
        if not re.fullmatch(r"[0-9]{1,10}", value) or int(value) not in allowed:
            problems.append(f"{name}: must be a whole number, {allowed[0]} to {allowed[-1]}")
    limit = os.environ.get("GRADIO_DEFAULT_CONCURRENCY_LIMIT", "none")
    if not re.fullmatch(r"none|[1-9][0-9]{0,8}", limit):
        problems.append("GRADIO_DEFAULT_CONCURRENCY_LIMIT: must be a whole number or none")
    if not re.fullmatch(r"(https?://[\w.-]+(:\d{1,5})?)?(/[\w.~%-]+)*/?", _root_path(), re.ASCII):
        problems.append("GRADIO_ROOT_PATH: must look like /chat or https://host/chat")
    folder = os.environ.get("GRADIO_TEMP_DIR")
    if folder is not None:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError):
            problems.append(f"GRADIO_TEMP_DIR: {folder} cannot be made")
    return problems


def _root_path() -> str:
    return os.environ.get("GRADIO_ROOT_PATH", "")


def _certificates() -> list[str]:
    """The problems of the variables that name the trusted certificates."""
    problems = []
    for name, fits in (("SSL_CERT_FILE", os.path.isfile), ("SSL_CERT_DIR", os.path.isdir)):
        value = os.environ.get(name, "").strip()
        if not value:
            os.environ.pop(name, None)
        elif not fits(value) or not os.access(value, os.R_OK):
            problems.append(f"{name}: {value} is not there or cannot be read")
    return problems


def _read(form: Callable[[str], str]) -> BeforeValidator:
    """A validator for text values; Pydantic checks other types."""

    def read(value: Any) -> Any:
        plain = value.get_secret_value() if isinstance(value, SecretStr) else value
        return form(plain) if isinstance(plain, str) else value

    return BeforeValidator(read)


def _lower(text: str) -> str:
    return values.clean(text).lower()


def _upper(text: str) -> str:
    return values.clean(text).upper()


Line = Annotated[str, _read(lambda text: values.one_line(values.clean(text)))]
Whole = Annotated[int, _read(values.clean)]
Number = Annotated[float, _read(values.clean), Field(allow_inf_nan=False)]
Truth = Annotated[bool, _read(values.clean)]
Secret = Annotated[SecretStr, _read(values.storable)]
DAY = 24 * 3600
MOST_YUAN = 1e9
MemoryKind = Annotated[Literal["auto", "context", "responses", "chat"], _read(_lower)]
Thinking = Annotated[Literal["off", "on", "low", "medium", "high"], _read(_lower)]
Registration = Annotated[Literal["auto", "open", "invite", "closed"], _read(_lower)]


class Settings(BaseSettings):
    """The app's settings; the app reads them with `Settings.from_env()`.

    Variables are the field names in capitals. An empty variable counts as unset.
    """

    model_config = SettingsConfigDict(
        env_file=ROOT / ".env",
        # With or without a byte order mark, which Windows editors add.
        env_file_encoding="utf-8-sig",
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    ark_api_key: Annotated[SecretStr, _read(values.key)] | None = Field(
        None, description="Ark API key; without it: offline demo"
    )
    ark_base_url: Annotated[str, _read(values.base_url)] = Field(
        "https://ark.cn-beijing.volces.com/api/v3", description="Ark or an OpenAI-compatible server"
    )
    ark_model: Annotated[str, _read(values.model_names)] = Field(
        "", description="Model ids or endpoints (ep-…=model id), separated by commas"
    )
    models_file: Line = Field(
        str(ROOT / "data" / "models.yaml"), description="What the app knows about models"
    )
    ark_memory: MemoryKind = Field("auto", description="How the model remembers a conversation")
    ark_context_ttl: Whole = Field(
        3600, ge=3600, le=604800, description="Seconds an idle Ark context lives"
    )
    system_prompt: Annotated[str, _read(values.storable)] = Field(
        "你是豆包，一个乐于助人的 AI 助手。请用用户使用的语言回答。",
        description="What the model is told before each conversation",
    )
    history_tokens: Whole = Field(
        16000, ge=500, le=1_000_000, description="Most tokens of history given to a rebuilt memory"
    )
    max_input_chars: Whole = Field(
        20_000, ge=1, le=200_000, description="Longest message, characters"
    )
    max_output_tokens: Whole = Field(4096, ge=1, le=65536, description="Longest reply, tokens")
    thinking: Thinking = Field("off", description="Whether models think, if users choose nothing")
    web_search: Truth = Field(True, description="Whether users may let models search the web")
    max_temperature: Number = Field(
        2, ge=0, le=2, description="Highest temperature that users may choose"
    )
    max_instruction_chars: Whole = Field(
        2000, ge=0, le=10_000, description="Longest own instructions for a session; 0 for none"
    )
    max_files: Whole = Field(
        4, ge=0, le=20, description="Pictures and PDF files in one message; 0 for none"
    )
    max_file_mb: Whole = Field(20, ge=1, le=50, description="Largest picture or PDF, megabytes")
    max_pdf_pages: Whole = Field(30, ge=1, le=500, description="Longest PDF, pages")

    first_token_seconds: Number = Field(
        60, gt=0, le=DAY, description="Longest wait for the first token"
    )
    idle_seconds: Number = Field(
        60, gt=0, le=DAY, description="Longest silence in the middle of a reply"
    )
    turn_seconds: Number = Field(300, gt=0, le=DAY, description="Longest turn in all")
    orphan_seconds: Number = Field(
        120, gt=0, le=DAY, description="A turn nobody watches ends after this"
    )
    max_turns: Whole = Field(
        100, ge=1, le=100_000, description="Replies running at once in this process"
    )
    max_turns_per_user: Whole = Field(
        2, ge=1, le=100_000, description="Replies running at once for one person"
    )
    sends_per_minute: Whole = Field(
        20, ge=0, le=100_000, description="Messages one person may send in a minute; 0 for no limit"
    )

    user_daily_tokens: Whole = Field(
        200_000, ge=0, le=10**12, description="Tokens one person may use in a day; 0 for no limit"
    )
    daily_yuan: Number = Field(
        10, ge=0, le=MOST_YUAN, description="Yuan the whole app may spend in a day; 0 for no limit"
    )
    monthly_yuan: Number = Field(
        100,
        ge=0,
        le=MOST_YUAN,
        description="Yuan the whole app may spend in a month; 0 for no limit",
    )
    budget_zone: Annotated[str, _read(values.zone)] = Field(
        "Asia/Shanghai", description="Time zone in which a budget's day begins"
    )
    paused: Truth = Field(False, description="No new replies at all")
    price_input: Number | None = Field(
        None, ge=0, le=MOST_YUAN, description="Yuan per million input tokens; default by model"
    )
    price_cached: Number | None = Field(
        None,
        ge=0,
        le=MOST_YUAN,
        description="Yuan per million cached input tokens; default by model",
    )
    price_output: Number | None = Field(
        None, ge=0, le=MOST_YUAN, description="Yuan per million output tokens; default by model"
    )
    price_storage: Number | None = Field(
        None,
        ge=0,
        le=MOST_YUAN,
        description="Yuan per million cached tokens and hour; default by model",
    )
    price_search: Number | None = Field(
        None, ge=0, le=MOST_YUAN, description="Yuan per thousand web searches; default 4"
    )

    database_url: Annotated[str, _read(values.database_url)] = Field(
        f"sqlite:///{ROOT / 'data' / 'chat.db'}", description="sqlite:///… or postgresql://…"
    )
    registration: Registration = Field("auto", description="Who may make an account")
    admin_name: Line = Field("", description="Account of an admin, made at the start")
    admin_password: Secret | None = Field(
        None, description="Password of that account when it is made"
    )
    login_days: Number = Field(7, gt=0, le=365, description="Days an unused login lasts")
    login_max_days: Number = Field(
        30, gt=0, le=365, description="Days after which any login ends, used or not"
    )
    bcrypt_cost: Whole = Field(12, ge=4, le=16, description="bcrypt work factor; each step doubles")
    trusted_proxies: Annotated[str, _read(values.networks)] = Field(
        "", description="Proxies whose X-Forwarded-* is believed: addresses, networks"
    )
    allowed_hosts: Annotated[str, _read(values.hosts)] = Field(
        "", description="Host names that the app is served by; none other then, anywhere"
    )
    frame_ancestors: Annotated[str, _read(values.frame_ancestors)] = Field(
        "'self' https://huggingface.co https://*.modelscope.cn https://modelscope.cn",
        description="Sites that may show the app in a frame (CSP)",
    )
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], _read(_upper)] = Field(
        "INFO", description="How much the app itself logs"
    )

    gradio_server_name: Annotated[str, _read(values.listening_host)] = Field(
        "127.0.0.1", description="Address to listen on"
    )
    gradio_server_port: Whole | None = Field(
        None, ge=1, le=65535, description="Port; without it the first free one"
    )
    gradio_share: Truth = Field(False, description="Make a public share link")
    space_id: Line = Field("", description="Set by Hugging Face Spaces; not yours to set")
    space_host: Annotated[str, _read(values.public_host)] = Field(
        "", description="Set by Hugging Face Spaces; not yours to set"
    )

    @classmethod
    def from_env(cls, **overrides: object) -> "Settings":
        """Read the settings from the environment. Raises `BadSettings`, naming every wrong one."""
        file = cls.model_config.get("env_file")
        unread = _Unread()
        reader = logging.getLogger("dotenv.main")
        reader.addFilter(unread)
        try:
            if isinstance(file, Path):
                _check_file(file)
            made = cls(**overrides)  # type: ignore[arg-type]
        except ValidationError as error:
            raise BadSettings(
                [
                    f"{_variable(e['loc'])}: {e['msg'].removeprefix('Value error, ')}"
                    for e in error.errors(include_input=False, include_url=False)
                ]
            ) from None
        finally:
            reader.removeFilter(unread)
        if unread.lines:
            lines = ", ".join(unread.lines)
            raise BadSettings([f"{file}: line {lines} is not NAME=value, or a quote is not closed"])
        return made

    @model_validator(mode="before")
    @classmethod
    def _without_blank(cls, given: dict[str, Any]) -> dict[str, Any]:
        """A blank value counts as unset, like an empty one."""
        return {
            name: value
            for name, value in given.items()
            if not (isinstance(value, str) and not values.clean(value))
        }

    @model_validator(mode="after")
    def _model_with_key(self) -> "Settings":
        if self.ark_api_key is not None and not self.ark_model:
            raise ValueError(
                "ARK_MODEL is needed with ARK_API_KEY, such as doubao-seed-2-1-lite-260915"
            )
        prices = (self.price_input, self.price_cached, self.price_output)
        if "," in self.ark_model and prices != (None, None, None):
            raise ValueError(
                "PRICE_INPUT, PRICE_CACHED and PRICE_OUTPUT hold for one model, and ARK_MODEL "
                "names several: set the prices in data/models.yaml"
            )
        return self

    @property
    def offline(self) -> bool:
        """True when there is no key, so the built-in local Ark answers."""
        return self.ark_api_key is None

    @property
    def is_public(self) -> bool:
        """True when the app can be reached from other machines."""
        return (
            self.gradio_share
            or bool(self.space_id or self.trusted_proxies)
            or not self.is_on_loopback
        )

    @property
    def is_on_loopback(self) -> bool:
        """True when it listens for local programs only, such as a tunnel or a proxy."""
        return self.gradio_server_name in ("127.0.0.1", "localhost", "[::1]")

    @property
    def hosted_without_disk(self) -> bool:
        """True on a hosted demo that loses its database at a restart (Spaces keep only `/data`)."""
        return (
            bool(self.space_id)
            and self.database_url.startswith("sqlite:///")
            and not self.database_url.startswith("sqlite:////data/")
        )


class _Unread(logging.Filter):
    """Collects the lines of `.env` that the reader skips with a warning."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        self.lines += [str(one) for one in record.args or () if isinstance(one, int)]
        return False


def _check_file(file: Path) -> None:
    """Raise `BadSettings` if the file exists but is not readable text."""
    if not os.path.lexists(file):
        return
    try:
        content = file.read_bytes()
    except OSError as error:
        why = "is a folder" if file.is_dir() else f"cannot be read: {error.strerror}"
        raise BadSettings([f"{file} {why}"]) from None
    try:
        readable = "\0" not in content.decode("utf-8-sig")
    except UnicodeDecodeError:
        readable = False
    if not readable:
        raise BadSettings([f"{file} is not UTF-8 text: save it as UTF-8"])


def _variable(place: tuple[int | str, ...]) -> str:
    # The parts after the first name the type that did not match.
    return str(place[0]).upper() if place else "SETTINGS"
