"""Reads `data/models.yaml`. What is wrong in it is told with its line and what is allowed."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from chatbot.catalog import (
    DEMO,
    Catalog,
    Input,
    MemoryKind,
    Model,
    Models,
    Prices,
    Thinking,
    Tier,
    names_of,
)
from chatbot.config import Settings
from chatbot.errors import BadSettings

LONGEST_NAME = 120
TOLD = {
    "extra_forbidden": "there is no such field",
    "model_type": "must be fields with values, such as `id: name`",
}
"""Plainer words for some of Pydantic's errors, by type."""
MOST_MODELS = 200
Words = Annotated[str, Field(min_length=1, max_length=80)]
Tokens = Annotated[int, Field(ge=1, le=100_000_000)]
Yuan = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Label(_Strict):
    en: Words
    zh: Words


class _Tier(_Strict):
    above: int = Field(0, ge=0, le=100_000_000)
    input: Yuan
    cached: Yuan
    output: Yuan


class _Model(_Strict):
    id: str = Field(pattern=r"^[^\s,=]+$", max_length=LONGEST_NAME)
    label: _Label
    api: list[MemoryKind] = Field(min_length=1)
    inputs: list[Input] = []
    thinking: list[Thinking] = Field(["off"], min_length=1)
    search: bool = False
    window: Tokens | None = None
    output: Tokens | None = None
    prices: list[_Tier] | None = Field(None, min_length=1)
    retired: date | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> "_Model":
        above = [tier.above for tier in self.prices or []]
        if above and (above[0] != 0 or sorted(set(above)) != above):
            raise ValueError("prices: the first needs no `above`, each later one a larger one")
        if self.search and "responses" not in self.api:
            raise ValueError("search: only the responses API can search")
        for field in ("api", "inputs", "thinking"):
            values = getattr(self, field)
            if twice := [one for place, one in enumerate(values) if one in values[:place]]:
                raise ValueError(f"{field}: {twice[0]} is listed twice")
        if self.window and self.output and self.output > self.window:
            raise ValueError("output: no reply is longer than the window")
        return self


class _File(_Strict):
    prices_read: date
    models: list[_Model] = Field(min_length=1, max_length=MOST_MODELS)


def configured_models(settings: Settings) -> Models:
    """The models that the settings offer, with their prices. Raises `BadSettings`."""
    catalog = read_models(Path(settings.models_file))
    names = names_of(settings.ark_model)
    if settings.offline:
        offered = list(DEMO)
    elif len(set(names)) < len(names):
        raise BadSettings(["ARK_MODEL: names a model twice"])
    else:
        offered = [catalog.model(name) for name in names]
    own = own_prices(settings)
    dearest = catalog.dearest
    return Models(
        offered,
        {model.name: (model.prices or dearest).set_by_owner(**own) for model in offered},
    )


def own_prices(settings: Settings) -> dict[str, float | None]:
    """The prices that the owner has set; None where the listed one holds."""
    return {
        "input": settings.price_input,
        "cached": settings.price_cached,
        "output": settings.price_output,
        "storage": settings.price_storage,
        "search": settings.price_search,
    }


def read_models(path: Path) -> Catalog:
    """The models of this file. Raises `BadSettings` with one line for each problem."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        # All scalars as text: YAML would read `off` as false. Pydantic converts them.
        loader = yaml.BaseLoader(text)
        node = loader.get_single_node()
        loaded = None if node is None else loader.construct_document(node)
    except OSError as error:
        raise BadSettings([f"{path} cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise BadSettings([f"{path} is not UTF-8 text: save it as UTF-8"]) from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        why = getattr(error, "problem", None) or "cannot be read"
        raise BadSettings([f"{path}{line}: not YAML: {why}"]) from None
    if repeated := list(_given_twice(node)):
        raise BadSettings([f"{path}, line {line}: {key} is given twice" for key, line in repeated])
    try:
        read = _File.model_validate(loaded)
    except ValidationError as error:
        raise BadSettings([*_problems(path, node, error)]) from None
    models = {one.id: _model(one) for one in read.models}
    ids = [one.id for one in read.models]
    twice = [place for place, one in enumerate(ids) if one in ids[:place]]
    if twice:
        raise BadSettings(
            [
                f"{path}, line {_line(node, ('models', place, 'id'))}: {ids[place]} is listed twice"
                for place in twice
            ]
        )
    if not any(model.prices for model in models.values()):
        raise BadSettings([f"{path}: at least one model needs prices, for those without"])
    return Catalog(models, read.prices_read)


def _given_twice(node: Any) -> Iterator[tuple[str, int]]:
    """The keys that a mapping has twice, with their lines; YAML would take the last."""
    if isinstance(node, yaml.SequenceNode):
        for part in node.value:
            yield from _given_twice(part)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield str(key.value), key.start_mark.line + 1
            seen.add(str(key.value))
            yield from _given_twice(value)


def _problems(path: Path, node: Any, error: ValidationError) -> Iterator[str]:
    for one in error.errors(include_url=False, include_input=False):
        where = ".".join(str(part) for part in one["loc"] if not isinstance(part, int))
        told = one["msg"].removeprefix("Value error, ")
        told = TOLD.get(one["type"], told)
        place = f"{where}: " if where else ""
        yield f"{path}, line {_line(node, one['loc'])}: {place}{told}"


def _line(node: Any, place: tuple[Any, ...]) -> int:
    """The line of the node at this place, or of the nearest one that exists around it."""
    line = node.start_mark.line + 1 if node is not None else 1
    for part in place:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
        elif isinstance(node, yaml.MappingNode):
            found = [value for key, value in node.value if key.value == part]
            keys = [key for key, _ in node.value if key.value == part]
            if not found:
                break
            node = found[0]
            line = keys[0].start_mark.line + 1
            continue
        else:
            break
        line = node.start_mark.line + 1
    return line


def _model(one: _Model) -> Model:
    return Model(
        name=one.id,
        label=one.label.en,
        label_zh=one.label.zh,
        kinds=tuple(one.api),
        inputs=tuple(one.inputs),
        thinking=tuple(one.thinking),
        search=one.search,
        window=one.window,
        output=one.output,
        prices=_prices(one.prices),
        retired=one.retired,
    )


def _prices(tiers: list[_Tier] | None) -> Prices | None:
    if tiers is None:
        return None
    first, *more = tiers
    return Prices(
        first.input,
        first.cached,
        first.output,
        tiers=tuple(Tier(tier.above, tier.input, tier.cached, tier.output) for tier in more),
    )
