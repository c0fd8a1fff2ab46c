"""The admins' commands: `python -m chatbot …`. Each noun has its own file.

All commands work on the database, so they work with and without a running server.
Exit codes: 0 done, 1 failed, 2 bad usage or settings.
"""

from typing import Any

import typer
from typer.core import TyperGroup

from chatbot.cli import admin, backup, check, export, invites, restore, usage, users
from chatbot.cli.services import Failed
from chatbot.errors import (
    BadInput,
    BadSettings,
    ChatbotError,
    StorageDamaged,
    StorageFault,
    StorageMissing,
    StorageUnavailable,
)


class Commands(TyperGroup):
    """Prints an error as one sentence, for all commands."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (BadSettings, BadInput) as error:
            code, told = 2, str(error)
        except StorageMissing:
            code, told = 1, "The database's file was removed or replaced meanwhile."
        except StorageDamaged as error:
            code, told = 1, f"The database is damaged: {error.__cause__}"
        except StorageUnavailable as error:
            code, told = 1, f"The database does not answer: {error.__cause__}".strip()
        except StorageFault as error:
            code, told = 1, f"The database refuses what this version asks of it: {error.__cause__}"
        except (ChatbotError, Failed) as error:
            code, told = 1, str(error)
        except BrokenPipeError:
            raise
        except OSError as error:
            code, told = 1, f"{error.filename}: {error.strerror}."
        # Database errors can have several lines.
        typer.echo(" ".join(told.split()), err=True)
        raise typer.Exit(code)


app = typer.Typer(
    name="python -m chatbot",
    cls=Commands,
    help="Look after the chat app: accounts, invitations, use, copies of the data.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(admin.app, name="admin")
app.add_typer(users.app, name="users")
app.add_typer(invites.app, name="invites")
app.command("usage")(usage.usage)
app.command("export")(export.export)
app.command("backup")(backup.backup)
app.command("restore")(restore.restore)
app.command("check")(check.check)
