"""The results: what was measured of whom, as a table of ratios and as JSON."""

import json
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass
class Row:
    """One measure of one work, for each subject the values of all repetitions.

    The first subject is the one that the others are compared with.
    """

    work: str
    measure: str
    unit: str
    values: dict[str, list[float]] = field(default_factory=dict)


@dataclass
class Sheet:
    """All rows in the order they came, and the load of the machine around each work."""

    rows: list[Row] = field(default_factory=list)
    works: dict[str, dict[str, float]] = field(default_factory=dict)
    """By work: load before and after, and how many seconds it took."""

    def add(self, work: str, measure: str, unit: str, subject: str, value: float) -> None:
        for row in self.rows:
            if (row.work, row.measure) == (work, measure):
                break
        else:
            row = Row(work, measure, unit)
            self.rows.append(row)
        row.values.setdefault(subject, []).append(value)

    def table(self) -> str:
        lines = []
        for work, told in self.works.items():
            rows = [row for row in self.rows if row.work == work]
            load = f"load {told['load_before']:.1f} to {told['load_after']:.1f}"
            lines += ["", f"**{work}** ({load}, {told['seconds']:.0f} s)", ""]
            subjects = list(dict.fromkeys(name for row in rows for name in row.values))
            lines.append(f"| | {' | '.join(subjects)} |")
            lines.append("|---" * (len(subjects) + 1) + "|")
            for row in rows:
                cells = [_cell(row, subject) for subject in subjects]
                lines.append(f"| {row.measure}, {row.unit} | {' | '.join(cells)} |")
        return "\n".join(lines)

    def json(self, **more: Any) -> str:
        return json.dumps({**more, **asdict(self)}, indent=1)


def percentile(values: list[float], share: float) -> float:
    """The value that this share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def _cell(row: Row, subject: str) -> str:
    values = row.values.get(subject)
    if not values:
        return ""
    middle, base = median(values), median(next(iter(row.values.values())))
    text = _short(middle)
    if len(values) > 1:
        text += f" ({_short(min(values))}–{_short(max(values))})"
    if subject != next(iter(row.values)) and base > 0:
        text += f" **{_short(middle / base)}x**"
    return text


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
