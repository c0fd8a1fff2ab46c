"""Shortcuts past Gradio's public interface: taken only with the Gradio they were made for.

Each is in one file, which names what it needs of Gradio. With another Gradio, or where something is
missing, the app goes Gradio's own way, which is slower, and says so once in its log. What each is
worth is in `benchmarks/RESULTS.md`.
"""

import inspect
import logging
from collections.abc import Callable
from typing import Any, TypeVar

import gradio as gr

log = logging.getLogger("chatbot.ui")

GRADIO = "6.31.0"
"""The version that the shortcuts were read against. Another may check more where they pass by."""

Made = TypeVar("Made")


class DoesNotFit(Exception):
    """Gradio does not have what a shortcut needs."""


def take(name: str, make: Callable[[], Made]) -> Made | None:
    """What `make` returns; None, with a line in the log, if it raises or Gradio is another one."""
    try:
        if gr.__version__ != GRADIO:
            raise DoesNotFit(f"it is made for Gradio {GRADIO}, this is {gr.__version__}")
        return make()
    # Another Gradio may break it in any way, and the app works without it.
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        log.warning("the shortcut for %s is off, Gradio's own way is taken. %s", name, why)
        return None


def expect(function: Any, *parameters: str) -> None:
    """Raise `DoesNotFit` unless this coroutine function can be called with these parameters."""
    name = getattr(function, "__qualname__", function)
    if not inspect.iscoroutinefunction(function):
        raise DoesNotFit(f"{name} is no coroutine function")
    try:
        inspect.signature(function).bind(**dict.fromkeys(parameters))
    except TypeError as error:
        raise DoesNotFit(f"{name}: {error}") from None
