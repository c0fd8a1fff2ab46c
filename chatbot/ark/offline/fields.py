"""Which JSON keys the Responses API knows: any other, at any depth, is refused.

Ark answers 400 `json: unknown field "x"` to them. The names are those of [D 1569618] and
of the SDK's parameter types.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

from chatbot.ark.offline.refusals import unknown_field

# A dict names the keys of an object, a list holds the shape of its items, None lets
# anything pass: JSON schemas bring names of their own.
Shape: TypeAlias = "dict[str, Any] | list[Any] | ByType | None"


@dataclass(frozen=True)
class ByType:
    """Objects whose `type` says which keys they have; `usual` is the shape of all others."""

    shapes: dict[str, Shape]
    usual: Shape = None

    def of(self, value: Any) -> Shape:
        kind = value.get("type") if isinstance(value, dict) else None
        return self.shapes.get(kind, self.usual) if isinstance(kind, str) else self.usual


PIXELS: Shape = {"min_pixels": None, "max_pixels": None}
PART = ByType(
    {
        "input_text": {"type": None, "text": None},
        "output_text": {"type": None, "text": None},
        "input_image": {
            "type": None, "image_url": None, "file_id": None, "detail": None,
            "image_pixel_limit": PIXELS,
        },
        "input_video": {"type": None, "video_url": None, "file_id": None, "fps": None},
        "input_file": {
            "type": None, "file_id": None, "file_url": None, "file_data": None, "filename": None,
        },
        "input_audio": {"type": None, "audio_url": None, "input_audio": None, "file_id": None},
    }
)  # fmt: skip
SUMMARY: Shape = [{"type": None, "text": None}]
MESSAGE: Shape = {
    "type": None, "role": None, "content": [PART], "id": None, "status": None, "phase": None,
    "partial": None,
}  # fmt: skip
ITEM = ByType(
    {
        "message": MESSAGE,
        "function_call": {
            "type": None, "id": None, "call_id": None, "name": None, "arguments": None,
            "status": None,
        },
        "function_call_output": {
            "type": None, "id": None, "call_id": None, "output": None, "status": None,
        },
        "reasoning": {
            "type": None, "id": None, "summary": SUMMARY, "content": None,
            "encrypted_content": None, "status": None,
        },
        "web_search_call": {
            "type": None, "id": None, "status": None,
            "action": {"type": None, "query": None, "sources": None},
        },
        "mcp_call": {
            "type": None, "id": None, "status": None, "name": None, "arguments": None,
            "output": None, "error": None, "server_label": None, "approval_request_id": None,
        },
    },
    MESSAGE,
)  # fmt: skip
TOOL = ByType(
    {
        "function": {
            "type": None, "name": None, "description": None, "parameters": None, "strict": None,
        },
        "web_search": {
            "type": None, "max_keyword": None, "limit": None, "sources": None,
            "user_location": {
                "type": None, "country": None, "region": None, "city": None, "timezone": None,
            },
        },
    }
)  # fmt: skip
REQUEST: Shape = {
    "model": None,
    "input": [ITEM],
    "instructions": None,
    "previous_response_id": None,
    "store": None,
    "expire_at": None,
    "caching": {"type": None, "prefix": None},
    "thinking": {"type": None},
    "reasoning": {"effort": None},
    "max_output_tokens": None,
    "stream": None,
    "temperature": None,
    "top_p": None,
    "text": {
        "format": {
            "type": None, "name": None, "description": None, "schema": None, "strict": None,
        }
    },
    "tools": [TOOL],
    "tool_choice": {"type": None, "name": None, "server_label": None},
    "parallel_tool_calls": None,
    "max_tool_calls": None,
    "context_management": {
        "edits": [
            {
                "type": None,
                "keep": {"type": None, "value": None},
                "exclude_tools": None,
                "clear_tool_inputs": None,
                "trigger": {"type": None, "value": None},
            }
        ]
    },
    "session": None,
    "service_tier": None,
    "include": None,
    "metadata": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
}  # fmt: skip


def check_fields(value: Any, shape: Shape = REQUEST) -> None:
    if isinstance(shape, ByType):
        check_fields(value, shape.of(value))
    elif isinstance(shape, dict) and isinstance(value, dict):
        for name, inner in value.items():
            if name not in shape:
                raise unknown_field(name)
            check_fields(inner, shape[name])
    elif isinstance(shape, list) and isinstance(value, list):
        for inner in value:
            check_fields(inner, shape[0])
