"""A Gradio that is newer than the one the app's shortcuts were made for."""

import gc

import gradio
from gradio import data_classes


def pretend() -> None:
    """Make this process one with such a Gradio, before the app is put together: Gradio works as
    ever, and what the shortcuts need is called something else."""
    gradio.__version__ = "6.32.0"
    data_classes.RenamedBody = data_classes.PredictBodyInternal  # type: ignore[attr-defined]
    del data_classes.PredictBodyInternal
    del gc.freeze
