"""What the project's papers say is what the project does: settings, commands, links."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from dotenv import dotenv_values

from chatbot.catalog import PRICES
from chatbot.config import ROOT as APP
from chatbot.config import Settings

ROOT = Path(__file__).parents[2]
READMES = ["README.md", "README.zh-CN.md"]
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


def settings_table(readme: str) -> dict[str, str]:
    """Variables and defaults of the table, whose third cell holds a meaning."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| (?:`(.*?)` )?\| .+ \|$", read(readme), re.MULTILINE)
    names = [name for name, _ in rows]
    assert len(names) == len(set(names))
    return dict(rows)


def commands(readme: str) -> list[str]:
    """The commands that set up and run; each is a block of one line."""
    return re.findall(r"^```sh\n(.+)\n```$", read(readme), re.MULTILINE)


# Settings


@pytest.mark.parametrize("readme", READMES)
def test_the_readme_names_every_setting_with_its_default(readme):
    assert settings_table(readme) == defaults()


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
    assert named <= set(PRICES), "every model that is named has a price"


@pytest.mark.parametrize("readme", READMES)
def test_the_readme_names_every_flag(readme):
    flags = set(re.findall(r'add_argument\("(--[a-z]+)"', read("app.py")))
    assert flags
    assert set(re.findall(r"^\| `(--[a-z]+)[` ]", read(readme), re.MULTILINE)) == flags


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


def test_ci_can_be_run():
    assert (ROOT / CI).stat().st_mode & 0o111
    subprocess.run(["bash", "-n", CI], cwd=ROOT, check=True)


@pytest.mark.parametrize("readme", READMES)
def test_make_targets_of_the_readme_exist(readme):
    named = set(re.findall(r"`make (\w+)`", read(readme)))
    assert named
    assert named <= set(re.findall(r"^(\w+):", read("Makefile"), re.MULTILINE))


# The rest


@pytest.mark.parametrize("paper", [*READMES, "CHANGELOG.md"])
def test_links_lead_somewhere(paper):
    targets = re.findall(r"\]\(([^)\s]+)\)", read(paper))
    assert targets
    for target in targets:
        if not target.startswith("https://"):
            assert (ROOT / target.split("#")[0]).is_file(), target


@pytest.mark.parametrize("readme", READMES)
def test_files_and_modules_of_the_readme_exist(readme):
    picture = read(readme).split("\nchatbot/\n")[1].split("```")[0]
    parts = re.findall(r"^  (\S+\.py|\S+/)", picture, re.MULTILINE)
    assert len(parts) > 8
    for part in parts:
        for name in part.split("、"):
            assert (ROOT / "chatbot" / name).exists(), name


def test_the_changelog_has_a_place_for_what_is_next():
    assert re.search(r"^## \[Unreleased\]\n\n### ", read("CHANGELOG.md"), re.MULTILINE)


def test_a_space_gets_the_gradio_that_is_tested():
    _, front, _ = read("README.md").split("---\n", 2)
    header = yaml.safe_load(front)
    assert header["sdk"] == "gradio"
    assert f"gradio=={header['sdk_version']}\n" in read("requirements.txt")
    assert (ROOT / header["app_file"]).is_file()
    assert isinstance(header["python_version"], str), "3.10 would be read as the number 3.1"
