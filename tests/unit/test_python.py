"""A Python that is too old is told so, whichever way the app is started."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READ_BEFORE_THE_CHECK = [
    "app.py",
    "chatbot/__init__.py",
    "chatbot/__main__.py",
    "tests/__init__.py",
]
STARTS = [
    "runpy.run_path('app.py', run_name='__main__')",
    "runpy.run_module('chatbot', run_name='__main__')",
    "import tests.conftest",
]


@pytest.mark.parametrize("name", READ_BEFORE_THE_CHECK)
def test_an_old_python_can_read_what_comes_before_the_check(name):
    ast.parse((ROOT / name).read_text(encoding="utf-8"), feature_version=(3, 7))


@pytest.mark.parametrize("start", STARTS)
def test_an_old_python_is_told_which_one_is_needed(start):
    pretend = f"import runpy, sys; sys.version_info = (3, 10, 2); {start}"
    ended = subprocess.run(
        [sys.executable, "-c", pretend], cwd=ROOT, capture_output=True, text=True
    )
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert line.startswith("Cannot start: this app needs Python 3.11 or newer, and this is 3.10.")
