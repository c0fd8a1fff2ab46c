"""`python -m chatbot`: the owner's commands. The app itself is started with `python app.py`."""

import logging

from chatbot.config import prepare_environment


def main() -> None:
    """Run one command; ends the process with its exit code."""
    prepare_environment()
    # A command tells its errors itself, in one sentence.
    logging.basicConfig(level=logging.CRITICAL)
    from chatbot.cli import app

    app()


if __name__ == "__main__":
    main()
