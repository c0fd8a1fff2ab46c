"""Charts of the admin page as HTML: one bar per day, or one bar per name. The chart's label says
the same in words, for screen readers.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import accumulate, pairwise

from chatbot.ui.render import escaped

CHART = '<figure class="chart"><figcaption>{title}</figcaption>{body}</figure>'
LABEL_EVERY = 7


def day_chart(
    title: str,
    days: Sequence[tuple[date, Sequence[float]]],
    nothing: str,
    kinds: Sequence[str] = (),
    most: float = 0,
    within: bool = False,
) -> str:
    """One bar of stacked parts per day, oldest first.

    `within`: each part starts at zero and includes the parts before it. `kinds` names the parts.
    `most` is the value of the full height, by default that of the highest bar. `nothing` is shown
    if all values are zero.
    """
    tops = [parts if within else list(accumulate(parts)) for _, parts in days]
    heights = [reached[-1] for reached in tops]
    if not any(heights):
        return CHART.format(title=escaped(title), body=f"<p>{escaped(nothing)}</p>")
    most = most or max(heights)
    told, bars = [], []
    for number, ((day, parts), reached) in enumerate(zip(days, tops, strict=True)):
        words = f"{day:%m-%d}: {_words(parts, kinds)}"
        if sum(parts):
            told.append(words)
        pieces = "".join(
            f'<b class="k{kind}" style="height:{100 * (top - below) / most:.1f}%"></b>'
            for kind, (below, top) in enumerate(pairwise([0, *reached]))
        )
        # Count from the newest day, which is today.
        is_named = (len(days) - 1 - number) % LABEL_EVERY == 0
        name = f"<small>{day:%m-%d}</small>" if is_named else ""
        bars.append(f'<i title="{escaped(words)}"><span>{pieces}</span>{name}</i>')
    legend = "".join(f'<b class="k{at}"></b>{escaped(kind)} ' for at, kind in enumerate(kinds))
    label = escaped(f"{title}. {'; '.join(told)}")
    body = (
        f'<div class="days" role="img" aria-label="{label}"><em>{_number(most)}</em>'
        f'{"".join(bars)}</div><p class="legend">{legend}</p>'
    )
    return CHART.format(title=escaped(title), body=body)


def name_chart(title: str, counts: Mapping[str, int], nothing: str) -> str:
    """One line with a bar per name."""
    most = max(counts.values(), default=0)
    if not most:
        return CHART.format(title=escaped(title), body=f"<p>{escaped(nothing)}</p>")
    lines = "".join(
        f'<li><span>{escaped(name)}</span><b class="k0" style="width:{50 * count / most:.1f}%"></b>'
        f"{count:,}</li>"
        for name, count in counts.items()
    )
    return CHART.format(title=escaped(title), body=f'<ul class="names">{lines}</ul>')


def _words(parts: Sequence[float], kinds: Sequence[str]) -> str:
    if not kinds:
        return _number(sum(parts))
    return ", ".join(f"{_number(part)} {kind}" for part, kind in zip(parts, kinds, strict=True))


def _number(value: float) -> str:
    """A large number without decimals, a small one with up to four digits."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.4g}"
