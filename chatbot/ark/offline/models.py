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
    status: str = ""
    """What the list of models says: "Retiring", "Shutdown", which is refused, or nothing."""


CURRENT: tuple[Api, ...] = ("responses", "chat")
MODELS = {
    "doubao-seed-2-1-lite-260915": Model(thinking="on", apis=CURRENT, most_output=65_536),
    "doubao-seed-2-1-pro-260915": Model(thinking="on", apis=CURRENT, most_output=65_536),
    "doubao-seed-2-0-mini-260428": Model(thinking="on", apis=CURRENT, most_output=65_536),
    "glm-5-2-260617": Model(thinking="on", apis=CURRENT, images=False),
    "glm-5-3-flash-260828": Model(thinking="always", apis=CURRENT),
    "doubao-1-5-pro-32k-250115": Model(apis=("chat",), most_output=12_288, status="Retiring"),
    "doubao-seed-1-6-250615": Model(apis=CURRENT, status="Shutdown"),
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
    """The list as `GET /models` has it: it tells what there is, not what the account opened."""
    listed = []
    for name, model in models.items():
        entry: dict[str, Any] = {
            "id": name,
            "name": name.rpartition("-")[0],
            "version": name.rpartition("-")[2],
            "created": 1_790_000_000,
            "object": "model",
            "modalities": {
                "input_modalities": ["text", "image"] if model.images else ["text"],
                "output_modalities": ["text"],
            },
        }
        listed.append(entry | ({"status": model.status} if model.status else {}))
    return {"object": "list", "data": listed}
