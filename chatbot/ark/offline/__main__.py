"""`python -m chatbot.ark.offline --port 8800`: the local Ark alone, until ctrl-C or SIGTERM."""

import argparse
import signal
import threading

from chatbot.ark.offline import OfflineArk


def main(
    kind: type[OfflineArk] = OfflineArk,
    module: str = "chatbot.ark.offline",
    about: str | None = __doc__,
) -> None:
    """Serve an Ark of this kind, as the flags say, and print its address."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=about)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument(
        "--pace", type=float, help="seconds between two pieces of text; reading speed by default"
    )
    args = parser.parse_args()
    stopped = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stopped.set())
    with kind(port=args.port, pace=args.pace) as ark:
        print(ark.base_url, flush=True)
        stopped.wait()


if __name__ == "__main__":
    main()
