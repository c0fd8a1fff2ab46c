"""`usage`: usage and cost, day by day."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from chatbot.admin import MOST_DAYS
from chatbot.cli.services import AsJson, Services, answer, table, with_services, yuan

HEADS = [
    "day", "turns", "people", "prompt", "cached", "completion", "yuan", "saved",
    "first token ms", "95 %",
]  # fmt: skip


def usage(
    days: Annotated[
        int, typer.Option(min=1, max=MOST_DAYS, help="How many days, up to today.")
    ] = 7,
    as_json: AsJson = False,
) -> None:
    """Show turns, tokens, cost and waiting times of the last days, and what went wrong.

    Days are those of BUDGET_ZONE. Running turns count with what is reserved for them.
    """

    async def work(services: Services) -> dict[str, Any]:
        admin = services.admin
        return {
            "days": [asdict(row) for row in await admin.days(days)],
            "errors": await admin.error_counts(days),
            "storage_micro_yuan_per_hour": await admin.storage_micro_yuan(),
            "paused": await admin.paused(),
        }

    found = with_services(work)
    cells = []
    for row in found["days"]:
        *counts, cost, saved, half, most = list(row.values())
        waits = ["-" if wait is None else wait for wait in (half, most)]
        cells.append([*counts, yuan(cost), yuan(saved), *waits])
    lines = [table(HEADS, cells)]
    total = sum(row["micro_yuan"] for row in found["days"])
    lines.append(f"Together {yuan(total)} yuan.")
    stored = found["storage_micro_yuan_per_hour"]
    lines.append(f"Ark's storage of the contexts in use: about {yuan(stored)} yuan an hour.")
    if found["errors"]:
        told = ", ".join(f"{code} {count}" for code, count in found["errors"].items())
        lines.append(f"Replies ended early: {told}.")
    if found["paused"]:
        lines.append("New replies are paused.")
    answer(as_json, found, *lines)
