"""How the events of the page are wired."""

from chatbot.bootstrap import create_app
from chatbot.config import Settings


def test_no_event_shows_its_progress_on_a_part(tmp_path):
    """With each frame the page copies the state of what shows progress and of all parts in it."""
    app = create_app(
        Settings(ark_api_key=None, database_url=f"sqlite:///{tmp_path / 'chat.db'}"), pace=0
    )
    for function in app.demo.fns.values():
        assert function.show_progress_on == [], function.name
    app.close()
