"""Imports point down, and what belongs to one file stays in it."""

import ast
import re
from graphlib import TopologicalSorter
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
    "chatbot.admin",
    "chatbot.service",
    "chatbot.searching",
    "chatbot.files",
    "chatbot.turns",
    "chatbot.ark",
    "chatbot.budget",
    "chatbot.send_rate",
    "chatbot.accounts",
    "chatbot.storage",
    "chatbot.sources",
    "chatbot.views",
    "chatbot.usage",
    "chatbot.model_file",
    "chatbot.options",
    "chatbot.characters",
    "chatbot.addresses",
    "chatbot.listening",
    "chatbot.catalog",
    "chatbot.config",
    "chatbot.values",
    "chatbot.service_unit",
    "chatbot.garbage",
    "chatbot.proxies",
    "chatbot.clock",
    "chatbot.errors_zh",
    "chatbot.errors",
]
HOMES = {
    "gradio": ("app.py", "chatbot/ui/", "chatbot/bootstrap.py"),
    "volcenginesdkarkruntime": ("chatbot/ark/client.py",),
    "bcrypt": ("chatbot/accounts/passwords.py",),
    "peewee": ("chatbot/storage/",),
    "playhouse": ("chatbot/storage/",),
    "typer": ("chatbot/__main__.py", "chatbot/cli/"),
    "pydantic_settings": ("chatbot/config.py",),
    "PIL": ("chatbot/files/pictures.py",),
    "pypdf": ("chatbot/files/pdf.py",),
    "dotenv": (),
}
BEHIND_THE_SERVICE = ("chatbot.storage", "chatbot.turns", "chatbot.ark")
"""What the pages do not know: they are given views."""


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


def imported_modules(path: Path, known: set[str]) -> set[str]:
    """The modules among those known that a file imports, be it as `from package import module`."""
    found = set(imports(path))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner
            if inner <= known:
                found.discard(node.module or "")
    return found & known


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


def test_pages_see_views_only() -> None:
    assert [
        f"{name_of(path)} imports {module}"
        for path in FILES
        if name_of(path).startswith("chatbot.ui")
        for module in imports(path)
        if module.startswith(BEHIND_THE_SERVICE)
    ] == []


def test_views_are_plain_values() -> None:
    [views] = [path for path in FILES if name_of(path) == "chatbot.views"]
    assert set(imports(views)) == {"dataclasses", "datetime", "typing"}


def test_the_bottom_imports_nothing_of_ours() -> None:
    for path in FILES:
        if name_of(path) in (
            "chatbot.clock",
            "chatbot.errors",
            "chatbot.errors_zh",
            "chatbot.values",
        ):
            assert not any(module.startswith("chatbot") for module in imports(path)), path


def test_the_local_ark_has_no_import_circle() -> None:
    files = {name_of(path): path for path in (ROOT / "chatbot" / "ark" / "offline").glob("*.py")}
    assert len(files) > 10
    graph = {name: imported_modules(path, set(files)) for name, path in files.items()}
    # Raises CycleError, which names the circle.
    TopologicalSorter(graph).prepare()


def test_the_local_ark_imports_nothing_else_of_the_project() -> None:
    for path in (ROOT / "chatbot" / "ark" / "offline").glob("*.py"):
        ours = [name for name in imports(path) if name.startswith(("chatbot", "app"))]
        assert all(name.startswith("chatbot.ark.offline") for name in ours), path


def test_what_only_tests_need_stays_with_the_tests() -> None:
    assert [
        f"{name_of(path)} imports {module}"
        for path in FILES
        for module in imports(path)
        if module.split(".")[0] in ("tests", "benchmarks")
    ] == []
    for path in (ROOT / "chatbot" / "ark" / "offline").glob("*.py"):
        assert not re.search(r"\bfault", path.read_text(encoding="utf-8"), re.IGNORECASE), path
