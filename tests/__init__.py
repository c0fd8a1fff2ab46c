"""The tests. An older Python is told so before anything else is imported."""

import chatbot as chatbot
