"""A local Ark over real HTTP: the demo without a key, and the Ark of tests and benchmarks.

Run it alone with `python -m chatbot.ark.offline`. It imports nothing else of the project.
"""

from chatbot.ark.offline.clock import Clock
from chatbot.ark.offline.contexts import Context
from chatbot.ark.offline.exchange import Recorded
from chatbot.ark.offline.faults import FAULTS, Fault
from chatbot.ark.offline.models import MODELS, Model
from chatbot.ark.offline.responses import StoredResponse
from chatbot.ark.offline.server import OfflineArk
from chatbot.ark.offline.usage import count_messages, count_tokens

__all__ = [
    "FAULTS",
    "MODELS",
    "Clock",
    "Context",
    "Fault",
    "Model",
    "OfflineArk",
    "Recorded",
    "StoredResponse",
    "count_messages",
    "count_tokens",
]
