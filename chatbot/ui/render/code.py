"""Renders code blocks and diagrams.

Each has a head with its language and a button that wraps its lines (`scripts/code.js`). The code
is sent as fenced Markdown at the beginning of a line, so that Gradio highlights it and adds a copy
button. Code that would block the browser's highlighter for seconds, or that Gradio would change,
is sent as HTML without colours.
"""

import re
from functools import lru_cache

from chatbot.ui.render.plain import escaped

LONGEST_LINE = 1_000
LONGEST = 20_000
"""Most characters of a highlighted block."""
MOST_CHARS = 60_000
"""Most highlighted characters in one message."""
TICKS = re.compile("`+")
LANGUAGE = re.compile(r"[a-z0-9][a-z0-9+#.-]{0,29}")
ALIASES = {
    "py": "python", "python3": "python", "js": "javascript", "jsx": "javascript",
    "ts": "javascript", "tsx": "javascript", "typescript": "javascript", "sh": "bash",
    "shell": "bash", "zsh": "bash", "console": "bash", "c++": "cpp", "h": "c", "hpp": "cpp",
    "golang": "go", "rs": "rust", "yml": "yaml", "jsonc": "json", "json5": "json", "tex": "latex",
    "vue": "html",
}  # fmt: skip
NAMES = {
    "bash": "Bash", "c": "C", "c++": "C++", "cpp": "C++", "cs": "C#", "csharp": "C#", "css": "CSS",
    "go": "Go", "golang": "Go", "html": "HTML", "java": "Java", "javascript": "JavaScript",
    "js": "JavaScript", "json": "JSON", "jsx": "JSX", "kotlin": "Kotlin", "latex": "LaTeX",
    "markdown": "Markdown", "mermaid": "Mermaid", "php": "PHP", "py": "Python", "python": "Python",
    "python3": "Python", "ruby": "Ruby", "rs": "Rust", "rust": "Rust", "sh": "Shell",
    "shell": "Shell", "sql": "SQL", "swift": "Swift", "tex": "LaTeX", "ts": "TypeScript",
    "tsx": "TSX", "typescript": "TypeScript", "vue": "Vue", "xml": "XML", "yaml": "YAML",
    "yml": "YAML",
}  # fmt: skip
"""Display names of some languages; others are shown as written."""
# Properties of Prism's table and of every object, which are not languages.
NO_LANGUAGES = ("constructor", "extend", "mermaid")
# Gradio's Markdown expands tabs in leading white space. A zero-width mark before them prevents
# that; the page removes it when code is copied.
TAB_KEEPER = "\ufeff"
TABS = re.compile(r"^(?= *\t)", re.MULTILINE)
PLACEHOLDER = "%%%"

DIAGRAM_CHARS, DIAGRAM_LINES, DIAGRAMS = 3_000, 60, 5
# Mermaid reads HTML, styles, links, pictures and settings from a diagram's text.
UNSAFE_DIAGRAM = re.compile(
    r"%%\s*\{|\A\s*---|^\s*(?:click|callback|links?|href|properties|details|acc\w+)\b|@\s*\{|://|url\s*\("
    r"|javascript:|data:|\$\$|&#?\w+;|#(?:lt|gt|amp|\d+|x[0-9a-f]+);|<(?!br ?/?>)[a-z/!?]",
    re.IGNORECASE | re.MULTILINE,
)
STEREOTYPE = re.compile(r"<<\w+>>")
STYLE_LINE = re.compile(r"^\s*(?:style|classDef|linkStyle)\b(.*)$", re.MULTILINE)
SAFE_STYLE = re.compile(
    r"\s+[\w, ]+?\s+(?:(?:fill|stroke|stroke-width|stroke-dasharray|color|font-size|font-weight|"
    r"font-style|opacity|rx|ry)\s*:\s*[#\w. %]+[,;]?\s*)+"
)


def highlighted(code: str) -> bool:
    """Whether the browser may highlight this code."""
    return (
        len(code) <= LONGEST
        and PLACEHOLDER not in code
        and not any("\ufdd0" <= mark <= "\ufdd3" for mark in code)
        and max(map(len, code.split("\n"))) <= LONGEST_LINE
    )


def fenced(code: str, info: str) -> str:
    """A code block as its head and fenced Markdown on separate lines."""
    fence = "`" * max(3, 1 + max(map(len, TICKS.findall(code)), default=0))
    language = language_of(info)
    return f"\n\n{_head(info)}\n\n{fence}{language}\n{kept_tabs(code)}\n{fence}\n\n"


def kept_tabs(code: str) -> str:
    return TABS.sub(TAB_KEEPER, code) if "\t" in code else code


def plain_block(code: str, info: str = "") -> str:
    """A code block as HTML with a copy button."""
    return (
        f'{_head(info)}<div class="code_wrap"><button class="copy_code_button"></button>'
        f"<pre><code>{escaped(code)}</code></pre></div>"
    )


@lru_cache(maxsize=256)
def _head(info: str) -> str:
    written = _written(info)
    name = escaped(NAMES.get(written, written))
    return (
        f'<div class="code_head"><span>{name}</span>'
        '<button class="wrap_code_button"></button></div>'
    )


def _written(info: str) -> str:
    found = LANGUAGE.match(info.strip().lower())
    return found[0] if found else ""


def language_of(info: str) -> str:
    """The language of a fence under the highlighter's name; may be empty."""
    name = _written(info)
    return "" if name in NO_LANGUAGES else ALIASES.get(name, name)


def is_diagram(info: str, code: str) -> bool:
    """Whether a fence is a diagram that may be drawn."""
    return (
        info.strip().lower() == "mermaid"
        and bool(code.strip())
        and len(code) <= DIAGRAM_CHARS
        and code.count("\n") < DIAGRAM_LINES
        and not UNSAFE_DIAGRAM.search(STEREOTYPE.sub("", code))
        and all(SAFE_STYLE.fullmatch(line) for line in STYLE_LINE.findall(code))
    )


def diagram(code: str) -> str:
    """A diagram for the page to draw; its code follows and is shown if that fails."""
    return f'<div class="mermaid">{escaped(code)}</div>'
