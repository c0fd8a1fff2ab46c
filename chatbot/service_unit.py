"""Reads the settings of the app's systemd service, for the admins' commands.

A service gets its variables from its unit and the file named there. A shell does not have them, so
without this a command would use another database than the service.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path

from chatbot.errors import BadSettings

UNIT = Path("/etc/systemd/system/chatbot.service")


def variables(folder: Path, unit: Path = UNIT) -> dict[str, str]:
    """The variables of the service that runs in `folder`; empty if there is no such service.

    Raises `BadSettings` if its file of variables cannot be read; often only root may read it.
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
        # The file wins, as in systemd.
        if name == "EnvironmentFile":
            found.update(_file(value))
    return found


def _lines(unit: Path) -> Iterator[tuple[str, str]]:
    """The settings of the unit and of its drop-ins (`systemctl edit`)."""
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
