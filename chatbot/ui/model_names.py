"""The names of models on the page."""

from chatbot.catalog import Model
from chatbot.ui.texts import Language, text


def model_label(model: Model, language: Language) -> str:
    """The model's name for people, never an endpoint id."""
    label = model.label_zh if language == "zh" and model.label_zh else model.label
    return label or text("unnamed_model", language)
