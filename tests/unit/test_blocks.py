"""How the events of the page are wired."""

import gradio as gr

from chatbot.bootstrap import create_app
from chatbot.config import Settings


def test_only_the_chatbot_shows_progress_and_only_while_frames_come(tmp_path):
    """With each frame the page copies the state of what shows progress and of all parts in it."""
    app = create_app(
        Settings(ark_api_key=None, database_url=f"sqlite:///{tmp_path / 'chat.db'}"), pace=0
    )
    for function in app.demo.fns.values():
        assert function.show_progress_on is not None, f"{function.name} shows it on its outputs"
        places = [type(part) for part in function.show_progress_on]
        frames = function.fn and gr.Chatbot in [type(part) for part in function.outputs]
        assert places == ([gr.Chatbot] if frames else []), function.name
    app.close()
