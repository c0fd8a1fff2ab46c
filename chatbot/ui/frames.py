"""The shortcut for events that send frames: their handlers start without a thread.

Gradio calls such a handler in a thread to get its generator. The shortcut calls it directly; Gradio
still reads the generator. Handlers that take event data are called by Gradio.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import gradio as gr

from chatbot.ui.shortcuts import expect, take


def page_class() -> type[gr.Blocks]:
    """`gr.Blocks` with the shortcut, or Gradio's own if the shortcut does not fit (logged)."""
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
    """Whether this is an async generator that takes its inputs and the request only."""
    takes = [one.annotation for one in inspect.signature(handler).parameters.values()]
    data = [one for one in takes if inspect.isclass(one) and issubclass(one, gr.EventData)]
    return inspect.isasyncgenfunction(handler) and takes[-1] is gr.Request and not data
