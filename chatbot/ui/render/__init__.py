"""The one step from stored text to what Gradio's Chatbot gets.

A person's text is plain text, to the character. An answer is parsed as CommonMark here and goes to
the page as HTML of our own making; only fenced code stays Markdown, so that Gradio highlights it
and adds its copy button. Nothing here reaches copying, editing, exporting, searching or the
model's memory: those have the stored text.
"""

from chatbot.ui.render.answer import answer
from chatbot.ui.render.growing import Growing
from chatbot.ui.render.kept import Kept
from chatbot.ui.render.plain import escaped, typed, typed_text

__all__ = ["Growing", "Kept", "answer", "escaped", "typed", "typed_text"]
