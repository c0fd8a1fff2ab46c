"""Formulas between single dollar signs, as models like to write them.

Gradio would take every pair of dollar signs for a formula, prices included. So the page renders
`\\(…\\)`, and what is a formula by Pandoc's rule (its manual, `tex_math_dollars`) is spelled so.
"""

import re

CODE = r"(?P<fence>`{3,}|~{3,}).*?(?:(?P=fence)|\Z)|(?P<tick>`+).+?(?P=tick)"
DISPLAYED = r"\$\$.*?\$\$"
INLINE = r"(?<![\\$A-Za-z0-9])\$(?P<formula>(?![\s$])[^$\n]*?[^\s$\\])\$(?![\d$])"
PARTS = re.compile(f"{CODE}|{DISPLAYED}|{INLINE}", re.DOTALL)


def spelled(text: str) -> str:
    """The text with its inline formulas between `\\(` and `\\)`; code stays as it is."""
    return PARTS.sub(_spelled, text) if "$" in text else text


def _spelled(part: re.Match[str]) -> str:
    return rf"\({part['formula']}\)" if part["formula"] else part[0]
