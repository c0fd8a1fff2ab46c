"""A local Ark over real HTTP, which answers as Volcengine Ark does: the demo without a key.

Run it alone with `python -m chatbot.ark.offline`. It imports nothing else of the project.
"""

from chatbot.ark.offline.contexts import Context
from chatbot.ark.offline.models import MODELS, Model
from chatbot.ark.offline.responses import StoredResponse
from chatbot.ark.offline.server import OfflineArk
from chatbot.ark.offline.usage import count_messages, count_tokens

__all__ = [
    "MODELS",
    "Context",
    "Model",
    "OfflineArk",
    "StoredResponse",
    "count_messages",
    "count_tokens",
]
