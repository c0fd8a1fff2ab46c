"""An app of a test's own on a free port, for answers that the local Ark does not give."""

import socket
import threading
from contextlib import contextmanager

from chatbot.ark.offline.listener import Listener


@contextmanager
def serving(app):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = Listener(app)
        thread = threading.Thread(target=server.serve_on, args=[listener], daemon=True)
        thread.start()
        assert server.ready.wait(10)
        yield f"http://127.0.0.1:{port}"
        server.close()
        thread.join(10)
