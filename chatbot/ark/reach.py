"""Finds out why a service cannot be reached."""

import socket
import ssl

from chatbot.errors import AddressUnknown, ArkUnavailable, CertificateRefused

DEEPEST = 10


def unreachable(error: BaseException) -> type[ArkUnavailable]:
    """The error for a failed connection, by the causes behind the library's exception."""
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return AddressUnknown
        if isinstance(cause, ssl.SSLError):
            return CertificateRefused
    return ArkUnavailable


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and len(found) < DEEPEST:
        found.append(cause)
        cause = cause.__cause__ or cause.__context__
    return found
