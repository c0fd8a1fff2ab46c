"""A recorded request and its outcome."""

from dataclasses import dataclass
from typing import Any

from chatbot.ark.offline.exchange import Exchange


@dataclass
class Recorded:
    """`finished` and `disconnected` are both False while it is being answered."""

    exchange: Exchange
    at: float
    """When it came, by the clock of the Ark."""
    finished: bool = False
    disconnected: bool = False
    """Whether the client left before the end."""

    @property
    def method(self) -> str:
        return self.exchange.request.method

    @property
    def path(self) -> str:
        return str(self.exchange.request.scope["path"])

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.exchange.request.headers)

    @property
    def request_id(self) -> str:
        return self.exchange.request_id

    @property
    def body(self) -> Any:
        """Its JSON, None until it was read."""
        return self.exchange.body

    @property
    def status(self) -> int | None:
        """What it was answered with, None until then."""
        return self.exchange.status

    @property
    def client(self) -> Any:
        """Address and port, which tell one connection from another."""
        return self.exchange.request.scope["client"]

    def told(self) -> dict[str, Any]:
        """All of it but the key, for JSON."""
        headers = self.headers
        headers.pop("authorization", None)
        return {
            "method": self.method,
            "path": self.path,
            "headers": headers,
            "request_id": self.request_id,
            "body": self.body,
            "status": self.status,
            "disconnected": self.disconnected,
            "finished": self.finished,
            "at": self.at,
            "client": self.client,
        }
