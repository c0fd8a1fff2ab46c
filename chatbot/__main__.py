"""`python -m chatbot`: the admins' commands. The app itself is started with `python app.py`."""

import logging
import sys

from chatbot.config import prepare_environment, take_from_service
from chatbot.errors import BadSettings


def main() -> None:
    """Run one command; ends the process with its exit code."""
    try:
        take_from_service()
        prepare_environment()
    except BadSettings as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    # Each command prints its own errors, as one sentence.
    logging.basicConfig(level=logging.CRITICAL)
    from chatbot.cli import app

    app()


if __name__ == "__main__":
    main()
