"""Converts stored text to what Gradio's Chatbot gets.

A user's text is shown as plain text, unchanged. An answer is parsed as CommonMark and sent to the
page as our own HTML. Only fenced code stays Markdown, so that Gradio highlights it and adds its
copy button. Copy, edit, export, search and the model's memory use the stored text, not this.
"""

from chatbot.ui.render.answer import answer
from chatbot.ui.render.growing import Growing
from chatbot.ui.render.kept import Kept
from chatbot.ui.render.plain import escaped, typed, typed_text

__all__ = ["Growing", "Kept", "answer", "escaped", "typed", "typed_text"]
