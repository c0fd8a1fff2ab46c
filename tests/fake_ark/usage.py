"""Token counts that a server left out, in part or all."""

from dataclasses import dataclass
from typing import Any, Literal

from chatbot.ark.offline.usage import Usage

UsageShape = Literal["whole", "none", "empty", "partial"]


@dataclass(frozen=True)
class OddUsage(Usage):
    """Left out ("none"), `{}` ("empty"), or without what the answer cost ("partial")."""

    shape: UsageShape = "whole"

    def chat(self) -> Any:
        return self._odd("prompt_tokens", super().chat())

    def responses(self) -> Any:
        return self._odd("input_tokens", super().responses())

    def _odd(self, name: str, whole: dict[str, Any]) -> dict[str, Any] | None:
        match self.shape:
            case "none":
                return None
            case "empty":
                return {}
            case "partial":
                return {name: self.prompt, f"{name}_details": {}}
        return whole
