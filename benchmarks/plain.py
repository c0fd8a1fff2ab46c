"""The peer: what Gradio's guide to chatbots makes of AsyncArk, with its limit on users raised.

`python -m benchmarks.plain PORT ARK_URL MESSAGES`; the history of so many messages is there from
the start. No login, no storage, no budget.
"""

import os
import sys
from collections.abc import AsyncIterator
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
from volcenginesdkarkruntime import AsyncArk

from benchmarks.texts import history

PORT, ARK_URL, MESSAGES = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])


def build() -> gr.ChatInterface:
    ark = AsyncArk(api_key="bench-key", base_url=ARK_URL)

    async def answer(message: str, told: list[dict[str, Any]]) -> AsyncIterator[str]:
        messages = [{"role": one["role"], "content": one["content"][0]["text"]} for one in told]
        stream = await ark.chat.completions.create(
            model="ep-bench",
            messages=[*messages, {"role": "user", "content": message}],
            stream=True,
        )
        text = ""
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                text += chunk.choices[0].delta.content
                yield text

    chatbot = gr.Chatbot(value=history(MESSAGES), elem_id="chatbot")
    prompt = gr.Textbox(elem_id="prompt")
    return gr.ChatInterface(answer, chatbot=chatbot, textbox=prompt, concurrency_limit=None)


if __name__ == "__main__":
    # The default of 40 threads is a limit on users, too.
    build().launch(server_name="127.0.0.1", server_port=PORT, max_threads=1000, quiet=True)
