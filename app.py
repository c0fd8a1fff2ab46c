"""Start the chat demo: `python app.py [--share] [--host HOST] [--port PORT] [--offline]`."""

import argparse
import logging
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from chatbot.config import Settings, hide_from_gradio, prepare_environment
from chatbot.errors import BadSettings
from chatbot.listening import address_for_others

if TYPE_CHECKING:
    from chatbot.bootstrap import App

INVITATION = "20 accounts, 7 days"


def main() -> int:
    """Serve until Ctrl-C or SIGTERM; returns the exit code."""
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    try:
        prepare_environment()
        settings = Settings.from_env(**_flags())
        hide_from_gradio()
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
        # Only for our own logger: libraries log messages and hashes below WARNING.
        logging.getLogger("chatbot").setLevel(settings.log_level)
        # Imported here, so that a bad setting is reported before Gradio loads.
        from chatbot.bootstrap import create_app

        app = create_app(settings)
    except BadSettings as error:
        print(f"Cannot start: {error}", file=sys.stderr)
        return 2
    try:
        _welcome(app, app.launch())
    except BadSettings as error:
        print(f"Cannot start: {error}", file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        # Gradio's errors can have several lines, such as the one about a proxy for localhost.
        print(f"Cannot start: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    else:
        while not stopping.wait(0.5):
            pass
        return 0
    finally:
        app.close()


def _flags() -> dict[str, Any]:
    parser = argparse.ArgumentParser(description="A chat demo for Doubao on Volcengine Ark.")
    parser.add_argument("--share", action="store_true", help="make a public link for testers")
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port (default: the first free one from 7860)")
    parser.add_argument("--offline", action="store_true", help="use the built-in local Ark")
    flags = parser.parse_args()
    given = {
        "gradio_share": flags.share or None,
        "gradio_server_name": flags.host,
        "gradio_server_port": flags.port,
    }
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return {**chosen, "ark_api_key": None} if flags.offline else chosen


def _welcome(app: "App", url: str) -> None:
    """Print the app's address and what testers need."""
    settings = app.settings
    print(f"\nOpen {url.replace('[::]', '[::1]')}")
    if settings.offline:
        print("Offline demo: set ARK_API_KEY and ARK_MODEL in .env to talk to Doubao.")
    if settings.gradio_share and not app.demo.share_url:
        print("No share link could be made (no tunnel from here). The local address works.")
    hosted = f"https://{settings.space_host}" if settings.space_host else ""
    here = address_for_others(settings.gradio_server_name, urlsplit(url).port or 80)
    link = (app.demo.share_url or hosted or here).rstrip("/")
    if app.registration == "invite":
        print(f"For testers ({INVITATION}): {link}/?invite={app.invite()}")
    elif link != url.rstrip("/"):
        print(f"For testers: {link}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
