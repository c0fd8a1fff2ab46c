"""The shortcut for events that send frames: their handlers start without a thread.

Gradio makes a generator of each such handler in a thread. This one makes it directly, and leaves
everything else, reading it included, to Gradio. A handler that takes event data is left to Gradio.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import gradio as gr

from chatbot.ui.shortcuts import expect, take


def page_class() -> type[gr.Blocks]:
    """`gr.Blocks` with the shortcut; Gradio's own, and the log says why, if it does not fit."""
    return take("frames", _with_shortcut) or gr.Blocks


def _with_shortcut() -> type[gr.Blocks]:
    names = ("self", "block_fn", "processed_input", "iterator", "requests", "event_id")
    expect(gr.Blocks.call_function, *names)

    class Page(gr.Blocks):
        async def call_function(
            self, block_fn: Any, processed_input: Any, iterator: Any = None, requests: Any = None,
            *more: Any, **named: Any,
        ) -> Any:  # fmt: skip
            if iterator is None and _sends_frames(block_fn.fn):
                iterator = block_fn.fn(*processed_input, requests)
            return await super().call_function(
                block_fn, processed_input, iterator, requests, *more, **named
            )

    return Page


@functools.cache
def _sends_frames(handler: Callable[..., Any]) -> bool:
    """Whether this is a generator that takes its inputs and the request, and nothing else."""
    takes = [one.annotation for one in inspect.signature(handler).parameters.values()]
    data = [one for one in takes if inspect.isclass(one) and issubclass(one, gr.EventData)]
    return inspect.isasyncgenfunction(handler) and takes[-1] is gr.Request and not data
