"""The settings of the app as a systemd service, for the admins' commands beside it.

A service has its variables from its unit and the file named there, which a shell does not know: a
command would look after another database than the one the service uses.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path

from chatbot.errors import BadSettings

UNIT = Path("/etc/systemd/system/chatbot.service")


def variables(folder: Path, unit: Path = UNIT) -> dict[str, str]:
    """What the service that runs in `folder` is given; nothing where there is no such service.

    Raises `BadSettings` when its file of variables cannot be read, which root alone may do.
    """
    try:
        lines = list(_lines(unit))
    except OSError:
        return {}
    if Path(_last(lines, "WorkingDirectory")).resolve() != folder.resolve():
        return {}
    found: dict[str, str] = {}
    for name, value in lines:
        if name == "Environment":
            pairs = (pair.partition("=") for pair in shlex.split(value))
            found.update((key, text) for key, _, text in pairs)
    for name, value in lines:
        # What the file sets wins, as in systemd.
        if name == "EnvironmentFile":
            found.update(_file(value))
    return found


def _lines(unit: Path) -> Iterator[tuple[str, str]]:
    """Settings of the unit and of what was added to it (`systemctl edit`)."""
    for path in (unit, *sorted(unit.with_name(f"{unit.name}.d").glob("*.conf"))):
        for line in path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
            name, _, value = line.partition("=")
            if not line.lstrip().startswith(("#", ";")):
                yield name.strip(), value.strip()


def _last(lines: list[tuple[str, str]], wanted: str) -> str:
    return next((value for name, value in reversed(lines) if name == wanted), "/")


def _file(named: str) -> Iterator[tuple[str, str]]:
    path = Path(named.removeprefix("-"))
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        told = f"{path} holds the settings of the service and cannot be read: use sudo"
        raise BadSettings([told]) from error
    for line in text.splitlines():
        name, sign, value = line.strip().partition("=")
        if not sign or name.startswith(("#", ";")):
            continue
        value = value.strip()
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
        yield name.strip(), value[1:-1] if quoted else value
