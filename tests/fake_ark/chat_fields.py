"""Which JSON keys a strict chat would know [D 1494384]. Whether Ark's is one is not known."""

from chatbot.ark.offline.fields import Shape

CHAT: Shape = dict.fromkeys(
    (
        "model", "messages", "thinking", "reasoning_effort", "stream", "max_tokens",
        "max_completion_tokens", "service_tier", "stop", "response_format", "frequency_penalty",
        "presence_penalty", "temperature", "top_p", "logprobs", "top_logprobs", "logit_bias",
        "tools", "parallel_tool_calls", "tool_choice",
    )
) | {"stream_options": {"include_usage": None, "chunk_include_usage": None}}  # fmt: skip
