"""Which JSON keys the Responses API knows: any other, at any depth, is refused.

Ark answers 400 `json: unknown field "x"` to them. The names are those of [D 1569618] and
of the SDK's parameter types.
"""

from typing import Any

from chatbot.ark.offline.refusals import unknown_field

# A dict names the keys of an object, a list holds the shape of its items, None lets
# anything pass: JSON schemas and tools bring names of their own.
Shape = dict[str, Any] | list[Any] | None

PIXELS: Shape = {"min_pixels": None, "max_pixels": None}
PART: Shape = {
    "type": None, "text": None,
    "image_url": None, "file_id": None, "detail": None, "image_pixel_limit": PIXELS,
    "video_url": None, "fps": None,
    "file_data": None, "file_url": None, "filename": None,
    "audio_url": None, "input_audio": None,
}  # fmt: skip
ITEM: Shape = {
    "type": None, "id": None, "status": None,
    "role": None, "content": [PART], "partial": None, "phase": None,
    "encrypted_content": None, "action": None,
    "summary": [{"type": None, "text": None}],
    "call_id": None, "name": None, "arguments": None, "output": None, "server_label": None,
    "approve": None, "approval_request_id": None, "reason": None, "error": None, "tools": None,
}  # fmt: skip
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
    "tools": None,
    "tool_choice": None,
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
    if isinstance(shape, dict) and isinstance(value, dict):
        for name, inner in value.items():
            if name not in shape:
                raise unknown_field(name)
            check_fields(inner, shape[name])
    elif isinstance(shape, list) and isinstance(value, list):
        for inner in value:
            check_fields(inner, shape[0])
