"""Imports point down, and what belongs to one file stays in it."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "app.py", *sorted((ROOT / "chatbot").rglob("*.py"))]

# From the top down; a part may import itself and what stands below it.
ORDER = [
    "app",
    "chatbot.bootstrap",
    "chatbot.ui",
    "chatbot.__main__",
    "chatbot.cli",
    "chatbot.self_service",
    "chatbot.service",
    "chatbot.searching",
    "chatbot.turns",
    "chatbot.final_save",
    "chatbot.turn",
    "chatbot.bill",
    "chatbot.ark",
    "chatbot.owner",
    "chatbot.budget",
    "chatbot.accounts",
    "chatbot.throttle",
    "chatbot.names",
    "chatbot.storage",
    "chatbot.usage",
    "chatbot.listening",
    "chatbot.catalog",
    "chatbot.config",
    "chatbot.values",
    "chatbot.service_unit",
    "chatbot.garbage",
    "chatbot.proxies",
    "chatbot.errors",
]
HOMES = {
    "gradio": ("app.py", "chatbot/ui/", "chatbot/bootstrap.py"),
    "volcenginesdkarkruntime": ("chatbot/ark/client.py",),
    "bcrypt": ("chatbot/accounts.py",),
    "peewee": (
        "chatbot/storage/",
        "chatbot/accounts.py",
        "chatbot/budget.py",
        "chatbot/throttle.py",
    ),
    "playhouse": ("chatbot/storage/",),
    "typer": ("chatbot/__main__.py", "chatbot/cli/"),
    "pydantic_settings": ("chatbot/config.py",),
    "dotenv": (),
}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found.append(node.module or "")
    return found


def part_of(module: str) -> str | None:
    fitting = [part for part in ORDER if module == part or module.startswith(part + ".")]
    return max(fitting, key=len, default=None)


def test_every_file_belongs_to_a_part() -> None:
    assert [name_of(path) for path in FILES if part_of(name_of(path)) is None] == ["chatbot"]


def test_imports_point_down() -> None:
    assert [
        f"{name_of(path)} imports {module}"
        for path in FILES
        for module in imports(path)
        if (own := part_of(name_of(path))) and (other := part_of(module))
        if ORDER.index(own) > ORDER.index(other)
    ] == []


def test_libraries_stay_in_their_homes() -> None:
    found = []
    for path in FILES:
        place = path.relative_to(ROOT).as_posix()
        for module in imports(path):
            homes = HOMES.get(module.split(".")[0])
            if homes is not None and not place.startswith(homes):
                found.append(f"{place} imports {module}")
    assert found == []


def test_only_config_reads_the_environment() -> None:
    readers = []
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        if "os.environ" in text or "getenv" in text:
            readers.append(name_of(path))
    assert readers == ["chatbot.config"]


def test_pages_never_see_tables() -> None:
    for path in (ROOT / "chatbot" / "ui").glob("*.py"):
        assert "chatbot.storage.models" not in imports(path)
        assert not any(module.startswith("chatbot.ark") for module in imports(path))
