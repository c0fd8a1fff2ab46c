"""`python -m tests.fake_ark --port 8800`: a fake Ark alone, until ctrl-C or SIGTERM.

It is steered over HTTP: `curl -d '{"name": "drop", "after": 5}' localhost:8800/offline/faults`.
"""

from chatbot.ark.offline.__main__ import main
from tests.fake_ark import SteeredArk

if __name__ == "__main__":
    main(SteeredArk, "tests.fake_ark", __doc__)
