"""The models that the local Ark knows, and what each of them can do.

A model that is not listed answers on every API.
"""

from dataclasses import dataclass
from typing import Any, Literal

from chatbot.ark.offline.refusals import always_thinks, text_only, unknown_model, unsupported

Api = Literal["context", "responses", "chat"]
ThinkingMode = Literal["shown", "asked", "on", "always"]


@dataclass(frozen=True)
class Model:
    """`thinking`: "on" unless it is disabled, as current models do; "always" refuses to have it
    disabled; "asked" when it is enabled or the script has a thought to show; "shown" has the
    script's thoughts whatever is asked, so that a page can show what they look like."""

    thinking: ThinkingMode = "asked"
    apis: tuple[Api, ...] = ("context", "responses", "chat")
    most_output: int | None = None
    """The largest `max_completion_tokens` that is taken."""
    images: bool = True
    summarizes: bool = False
    """Whether it shows a summary of its thoughts; the raw ones come so that nobody can read
    them."""
    window: int | None = 262_144
    """How many tokens it reads and writes at most; None is not told."""
    status: str = ""
    """What the list of models says: "Retiring", "Shutdown", which is refused, or nothing."""


CURRENT: tuple[Api, ...] = ("responses", "chat")
SEED_2_1 = Model(thinking="on", apis=CURRENT, most_output=65_536, summarizes=True, window=1_048_576)
MODELS = {
    "doubao-seed-2-1-lite-260915": SEED_2_1,
    "doubao-seed-2-1-pro-260915": SEED_2_1,
    "doubao-seed-2-0-mini-260428": Model(thinking="on", apis=CURRENT, most_output=65_536),
    "glm-5-2-260617": Model(thinking="on", apis=CURRENT, images=False, window=1_048_576),
    "glm-5-3-flash-260828": Model(thinking="always", apis=CURRENT, window=None),
    "doubao-1-5-pro-32k-250115": Model(
        apis=("chat",), most_output=12_288, images=False, window=32_768, status="Retiring"
    ),
    "doubao-seed-1-6-250615": Model(apis=CURRENT, status="Shutdown"),
    # For the demo: one for each kind of memory.
    "ep-offline-responses": Model(thinking="on", apis=("responses",)),
    "ep-offline-context": Model(apis=("context",), images=False, window=32_768),
    "ep-offline-chat": Model(thinking="on", apis=("chat",)),
}


def model_of(models: dict[str, Model], name: str) -> Model:
    """The model of that name; endpoints and names that are not listed serve everything."""
    return models.get(name) or Model(thinking="shown" if name.startswith("ep-") else "asked")


def check_served(name: str, model: Model, api: Api) -> None:
    """Refuse a model that is gone, or that this API does not have."""
    if model.status == "Shutdown":
        raise unknown_model(name)
    if api not in model.apis:
        raise unsupported(name)


def check_abilities(model: Model, messages: list[Any], thinking: str | None) -> None:
    """Refuse what the model cannot do, though others can."""
    if thinking == "disabled" and model.thinking == "always":
        raise always_thinks()
    if model.images:
        return
    if has_more_than_text(messages):
        raise text_only()


def has_more_than_text(messages: list[Any]) -> bool:
    contents = [message.get("content") for message in messages]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    kinds = ("image", "file", "video", "audio")
    return any(kind in str(part.get("type")) for part in parts for kind in kinds)


def list_models(models: dict[str, Model]) -> dict[str, Any]:
    """The list as `GET /models` has it: it tells what there is, not what the account opened.
    Endpoints are not models, so they are not in it."""
    listed = [entry(name, model) for name, model in models.items() if not name.startswith("ep-")]
    return {"object": "list", "data": listed}


def entry(name: str, model: Model) -> dict[str, Any]:
    inputs = ["text", "image"] if model.images else ["text"]
    told: dict[str, Any] = {
        "id": name,
        "name": name.rpartition("-")[0],
        "version": name.rpartition("-")[2],
        "created": 1_790_000_000,
        "object": "model",
        "domain": "VLM" if model.images else "LLM",
        "task_type": [*(["VisualQuestionAnswering"] if model.images else []), "TextGeneration"],
        "modalities": {"input_modalities": inputs, "output_modalities": ["text"]},
        "features": {
            "structured_outputs": {"json_object": True, "json_schema": True},
            "tools": {"function_calling": True},
            "batch": {"batch_chat": True, "batch_job": True},
            "cache": {"prefix_cache": True, "session_cache": True},
        },
    }
    if model.window is not None:
        most = model.most_output or model.window // 8
        told["token_limits"] = {
            "context_window": model.window,
            "max_input_token_length": model.window - most,
            "max_output_token_length": most,
            "max_reasoning_token_length": most,
        }
    if model.status:
        told["status"] = model.status
    order = ("id", "name", "version", "created", "object", "domain", "task_type", "modalities",
             "token_limits", "features", "status")  # fmt: skip
    return {key: told[key] for key in order if key in told}
