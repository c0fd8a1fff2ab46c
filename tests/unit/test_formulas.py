"""Which dollar signs are formulas."""

import pytest

from chatbot.ui.formulas import spelled


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("$x$", r"\(x\)"),
        ("so $E = mc^2$, and $a_1$.", r"so \(E = mc^2\), and \(a_1\)."),
        ("质能方程$E=mc^2$很有名", r"质能方程\(E=mc^2\)很有名"),
        (r"$\frac{1}{2}$ and $$\int x$$", r"\(\frac{1}{2}\) and $$\int x$$"),
        ("`$x$` but $y$", r"`$x$` but \(y\)"),
        ("```sh\necho $A$B\n```\n$z$", "```sh\necho $A$B\n```\n\\(z\\)"),
        ("~~~\n$a$\n~~~", "~~~\n$a$\n~~~"),
        ("```\nstill being written: $a$", "```\nstill being written: $a$"),
        ("``a ` $b$`` $c$", r"``a ` $b$`` \(c\)"),
    ],
)
def test_formulas_are_spelled_so_that_the_page_renders_them(said, shown):
    assert spelled(said) == shown


@pytest.mark.parametrize(
    "said",
    [
        "nothing at all",
        "between $5 and $6",
        "$5-$6, or US$5 and HK$6",
        "要花 $5，不是$6。",
        r"an escaped \$x$",
        "$ x $",
        "$not\nclosed$",
        "$$x$$",
        "$",
        "$$",
    ],
)
def test_other_dollar_signs_stay(said):
    assert spelled(said) == said
