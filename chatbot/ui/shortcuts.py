"""Shortcuts that use Gradio's internals; used only with the Gradio version they were made for.

Each shortcut is in one file, which checks what it needs. With another Gradio, or if something is
missing, the app uses Gradio's public interface, which is slower, and logs that once.
`benchmarks/RESULTS.md` has the gain of each.
"""

import inspect
import logging
from collections.abc import Callable
from typing import Any, TypeVar

import gradio as gr

log = logging.getLogger("chatbot.ui")

GRADIO = "6.31.0"
"""The version that the shortcuts were checked with. Another may add checks that they skip."""

Made = TypeVar("Made")


class DoesNotFit(Exception):
    """Gradio does not have what a shortcut needs."""


def take(name: str, make: Callable[[], Made]) -> Made | None:
    """What `make` returns; None, with a log line, if it raises or Gradio's version differs."""
    try:
        if gr.__version__ != GRADIO:
            raise DoesNotFit(f"it is made for Gradio {GRADIO}, this is {gr.__version__}")
        return make()
    # Another Gradio may fail in any way, and the app works without the shortcut.
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
