"""What the pages for readers promise: their code runs, and the README's two lines exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import frozen

from trio_instances._runtime.config import load_config

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
EXAMPLES = ROOT / "examples"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)

DEADLINE = 30.0
"""Seconds for one block. Each is a program that ends by itself."""


@frozen
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    """Where its fence begins, counted from 1."""
    language: str
    text: str
    mark: str
    """The HTML comment on the line above it, if there is one."""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """Return a page's fenced blocks, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in BLOCK.finditer(text):
        above = text[: match.start()].rstrip("\n").rpartition("\n")[2]
        mark = re.fullmatch(r"<!-- ([\w-]+) -->", above)
        found.append(
            Block(
                page,
                text.count("\n", 0, match.start()) + 1,
                match["language"],
                match["text"],
                mark[1] if mark else "",
            )
        )

    return found


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
TOML = [block for block in BLOCKS if block.language == "toml"]
TESTS = [block for block in BLOCKS if block.mark == "pytest"]
PYTHON = [block for block in BLOCKS if block.language == "python" and block not in TESTS]
MARKED = {block.mark: block for block in BLOCKS if block.page == README and block.mark}


@pytest.mark.parametrize("block", TOML, ids=str)
def test_a_toml_block_is_a_right_file(block: Block, tmp_path: Path) -> None:
    """What a page shows as a configuration file can be run as one."""
    file = tmp_path / "instances.toml"
    file.write_text(block.text, encoding="utf-8")
    tokens = dict.fromkeys(re.findall(r'env = "(\w+)"', block.text), "a-token-for-the-tests")

    assert load_config(file, environ=tokens).instances


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_a_python_block_runs(block: Block, tmp_path: Path) -> None:
    """A block is a whole program: it ends by itself, without an error or a warning."""
    program = tmp_path / "block.py"
    program.write_text("\n" * block.line + block.text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", program],
        check=False,
        cwd=tmp_path,
        # Programs of examples/ are shown on pages, and import what stands beside them.
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(EXAMPLES), str(ROOT)])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("block", TESTS, ids=str)
def test_a_block_of_tests_passes(block: Block, tmp_path: Path) -> None:
    """One that is marked as pytest's is a test file, for pytest-trio's mode of that name."""
    (tmp_path / "pytest.ini").write_text("[pytest]\ntrio_mode = true\nfilterwarnings = error\n")
    (tmp_path / "test_block.py").write_text("\n" * block.line + block.text, encoding="utf-8")
    plugins = ("-p", "pytest_trio_instances", "-p", "no:cacheprovider")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, "test_block.py"],
        check=False,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )

    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_the_readme_shows_code() -> None:
    """The README has a program in it; without one, the test above would run nothing."""
    assert [block for block in PYTHON if block.page == README]


def test_the_first_program_of_the_readme_prints_what_stands_below_it() -> None:
    """One line, which a newcomer can read."""
    program, output = [block for block in BLOCKS if block.page == README][:2]
    done = subprocess.run(
        [sys.executable, "-c", program.text],
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )

    # How long it takes to print it is no promise.
    assert re.sub(r"\d\.\d s", "0.0 s", done.stdout) == output.text


def test_every_fence_of_a_page_is_read() -> None:
    """No block escapes the tests by the way its fence is written."""
    fences = sum(page.read_text(encoding="utf-8").count("```") for page in PAGES)

    assert fences == 2 * len(BLOCKS)


@pytest.mark.parametrize("mark", ["demo-line", "test-line"])
def test_a_marked_block_is_one_line_for_a_fresh_clone(mark: str) -> None:
    """Each of the README's two lines is one command that needs no other one before it."""
    (line,) = MARKED[mark].text.splitlines()

    assert line.startswith("python3 -m venv .venv && .venv/bin/pip install ")


@pytest.mark.parametrize("mark", ["demo-line", "test-line"])
def test_the_commands_of_a_marked_line_exist(mark: str) -> None:
    """What a line runs from the environment is installed there by the line itself."""
    commands = re.findall(r"\.venv/bin/([\w-]+)", MARKED[mark].text)
    here = Path(sys.executable).parent

    assert [name for name in commands if not (here / name).exists()] == []


def test_the_demo_line_ends_with_a_command_that_exists() -> None:
    """The command line knows the subcommand that the README tells newcomers to type."""
    last = MARKED["demo-line"].text.rpartition("&&")[2].split()
    done = subprocess.run(
        [sys.executable, "-m", "trio_instances", *last[1:], "--help"],
        check=False,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )

    assert (done.returncode, done.stderr) == (0, "")
