"""The documents say what the project does: settings, commands, links."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from dotenv import dotenv_values

from chatbot.config import ROOT as APP
from chatbot.config import Settings
from chatbot.model_file import read_models

ROOT = Path(__file__).parents[2]
READMES = ["README.md", "README.zh-CN.md"]
SETTINGS = ["docs/settings.md", "docs/settings.zh-CN.md"]
PAPERS = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/*.md"))
EXAMPLE = ".env.example"
CI = ".ci/run"


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def defaults() -> dict[str, str]:
    """Every setting as a variable, with its default as one would type it."""
    shown = {}
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else str(field.default)
        if isinstance(field.default, bool):
            default = default.lower()
        shown[name.upper()] = default.replace(f"{APP}/", "")
    return shown


def settings_table(paper: str) -> dict[str, str]:
    """Variables and defaults of the table, whose third cell holds a meaning."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| (?:`(.*?)` )?\| .+ \|$", read(paper), re.MULTILINE)
    names = [name for name, _ in rows]
    assert len(names) == len(set(names))
    return dict(rows)


def commands(readme: str) -> list[str]:
    """The commands that set up and run; each is a block of one line."""
    return re.findall(r"^```sh\n(.+)\n```$", read(readme), re.MULTILINE)


# Settings


@pytest.mark.parametrize("paper", SETTINGS)
def test_every_setting_is_documented_with_its_default(paper):
    assert settings_table(paper) == defaults()


def test_the_example_names_every_setting_with_its_default(tmp_path):
    set_all = re.sub(r"^#(?=[A-Z_]+=)", "", read(EXAMPLE), flags=re.MULTILINE)
    (tmp_path / "env").write_text(set_all, encoding="utf-8")
    assert dotenv_values(tmp_path / "env") == defaults()


def test_the_example_sets_nothing():
    assert dotenv_values(ROOT / EXAMPLE) == {}


def test_the_example_says_what_each_setting_means_and_begins_with_the_key():
    lines = read(EXAMPLE).splitlines()
    places = [n for n, line in enumerate(lines) if re.match(r"#[A-Z_]+=", line)]
    assert [lines[n].split("=")[0] for n in places[:2]] == ["#ARK_API_KEY", "#ARK_MODEL"]
    for n in places:
        assert re.match(r"# \S.*\.$", lines[n - 1]), f"{lines[n]} has no meaning above it"


@pytest.mark.parametrize("paper", [*READMES, EXAMPLE])
def test_a_model_of_today_is_named_and_where_it_is_opened(paper):
    text = read(paper)
    assert "doubao-seed-2-1-lite-260915" in text
    assert "开通管理" in text
    named = set(re.findall(r"\bdoubao-[a-z]*-?[0-9][\w-]*\d{6}\b", text))
    assert named <= set(read_models(ROOT / "data" / "models.yaml").models), (
        "every model that is named has a price"
    )


@pytest.mark.parametrize("paper", SETTINGS)
def test_every_flag_is_documented(paper):
    flags = set(re.findall(r'add_argument\("(--[a-z]+)"', read("app.py")))
    assert flags
    assert set(re.findall(r"^\| `(--[a-z]+)[` ]", read(paper), re.MULTILINE)) == flags


# Commands


@pytest.mark.parametrize("readme", READMES)
def test_the_readme_has_one_command_to_run_and_one_to_test(readme):
    run, test = commands(readme)
    assert [run, test] == commands("README.md")
    assert run.endswith(" && .venv/bin/python app.py")
    assert test.endswith(" && .venv/bin/pytest -n auto")
    for command in (run, test):
        assert command.startswith("python3 -m venv .venv && ")
        for file in re.findall(r"-r (\S+)", command):
            assert (ROOT / file).is_file()


def test_ci_runs_the_test_command_of_the_readme():
    script = read(CI)
    [finding] = re.findall(r"^test_command=.+$", script, re.MULTILINE)
    found = subprocess.run(
        ["bash", "-c", f'{finding}; printf %s "$test_command"'],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout == commands("README.md")[1]
    assert 'bash -c "$test_command"' in script


def test_ci_script_is_executable_and_parses():
    assert (ROOT / CI).stat().st_mode & 0o111
    subprocess.run(["bash", "-n", CI], cwd=ROOT, check=True)


@pytest.mark.parametrize("readme", READMES)
def test_make_targets_of_the_readme_exist(readme):
    named = set(re.findall(r"`make (\w+)`", read(readme)))
    assert named
    assert named <= set(re.findall(r"^(\w+):", read("Makefile"), re.MULTILINE))


# The rest


@pytest.mark.parametrize("paper", [*READMES, "CHANGELOG.md", "CONTRIBUTING.md", *PAPERS])
def test_links_have_targets(paper):
    targets = re.findall(r"\]\(([^)\s]+)\)", read(paper))
    assert targets
    for target in targets:
        if not target.startswith("https://"):
            assert ((ROOT / paper).parent / target.split("#")[0]).is_file(), target


def test_every_document_exists_in_both_languages_and_is_linked():
    english = [paper for paper in PAPERS if not paper.endswith(".zh-CN.md")]
    assert len(english) == len(PAPERS) / 2 > 3
    for paper in english:
        chinese = paper.replace(".md", ".zh-CN.md")
        assert f"]({paper})" in read("README.md")
        assert f"]({chinese})" in read("README.zh-CN.md")


@pytest.mark.parametrize("readme", READMES)
def test_the_readme_stays_short(readme):
    assert len(read(readme).splitlines()) < 120


def test_the_layout_in_contributing_has_every_part():
    picture = read("CONTRIBUTING.md").split("\nchatbot/\n")[1].split("```")[0]
    drawn = set(re.findall(r"(\w+\.py|\w+/)(?=[\s,]|$)", picture.split("\ntests/")[0]))
    parts = {
        path.name + "/" * path.is_dir()
        for path in (ROOT / "chatbot").iterdir()
        if path.name not in ("__init__.py", "__main__.py", "__pycache__")
    }
    assert parts <= drawn, "not drawn"
    found = {path.name for path in (ROOT / "chatbot").rglob("*")}
    assert {name.rstrip("/") for name in drawn} <= found, "drawn, but not there"


def test_the_six_calls_of_a_message_exist():
    way = read("CONTRIBUTING.md").split("## The way of a message")[1].split("## Debug")[0]
    calls = re.findall(r"^\d\. `([\w.]+)`", way, re.MULTILINE)
    assert len(calls) == 6
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "chatbot").rglob("*.py"))
    for name in (*calls, *re.findall(r"`(\w+\.\w+)`(?! in)", way)):
        if not name.endswith(".py"):
            assert re.search(rf"def {name.split('.')[1]}\(", code), name
    for file in re.findall(r"`([\w/]+\.py)`", way):
        assert (ROOT / "chatbot" / file).is_file(), file


def test_the_changelog_has_a_place_for_what_is_next():
    assert re.search(r"^## \[Unreleased\]\n\n### ", read("CHANGELOG.md"), re.MULTILINE)


def test_a_space_gets_the_gradio_that_is_tested():
    _, front, _ = read("README.md").split("---\n", 2)
    header = yaml.safe_load(front)
    assert header["sdk"] == "gradio"
    assert f"gradio=={header['sdk_version']}\n" in read("requirements.txt")
    assert (ROOT / header["app_file"]).is_file()
    assert isinstance(header["python_version"], str), "3.10 would be read as the number 3.1"
