"""The three kinds of memory that a model can have of a conversation, behind one interface."""

from chatbot.ark.memory.choose import Memories, memories_for
from chatbot.ark.memory.learned import Learned, kept_in
from chatbot.ark.memory.request import Event, MemoryRequest

__all__ = ["Event", "Learned", "Memories", "MemoryRequest", "kept_in", "memories_for"]
