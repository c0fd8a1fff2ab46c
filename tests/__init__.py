"""Tests import Gradio and httpx as the app does: in an environment made for them."""

from chatbot.config import prepare_environment

prepare_environment()
