"""What the page about deploying shows: a unit that systemd takes, and whose numbers are right."""

from __future__ import annotations

import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

import trio_instances
from trio_instances._cli.commands import main
from trio_instances._cli.exit_codes import ExitCode

PAGE = Path(trio_instances.__file__).parents[1] / "docs" / "deploying.md"
ANALYZE = shutil.which("systemd-analyze")
TEXT = PAGE.read_text(encoding="utf-8")


def block(language: str) -> str:
    """Return the page's only block of a language."""
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert isinstance(text, str)
    return text


def service() -> dict[str, str]:
    """Return the unit's section about the service, its keys in small letters."""
    unit = ConfigParser(interpolation=None)
    unit.read_string(block("ini"))
    return dict(unit["Service"])


@pytest.mark.skipif(ANALYZE is None, reason="there is no systemd")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """It knows every key and every value; only the program is not where the unit has it."""
    unit = tmp_path / "bots.service"
    unit.write_text(block("ini").replace("/opt/bots/.venv/bin/trio-instances", "/bin/true"))
    done = subprocess.run(
        [str(ANALYZE), "verify", unit],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    about_us = [line for line in done.stderr.splitlines() if "bots.service" in line]

    assert about_us == []


def test_the_unit_starts_a_command_that_there_is() -> None:
    """By its name, with a file."""
    command = service()["execstart"].split()

    assert command[0].endswith("/trio-instances")
    assert command[1] in main.commands
    assert command[2].endswith(".toml")


def test_the_unit_restarts_by_the_codes_that_a_new_process_can_mend() -> None:
    """Not by that of a wrong file."""
    never = {int(code) for code in service()["restartpreventexitstatus"].split()}

    assert never == {ExitCode.REFUSED}
    assert service()["restart"] == "on-failure"


def test_a_start_has_time_to_ask_for_more() -> None:
    """The process asks every ten seconds, and the first time is when its instances are started."""
    assert int(service()["timeoutstartsec"]) > 20
    assert service()["type"].startswith("notify")


def test_the_deployment_asks_what_the_endpoint_answers() -> None:
    """Its probes, and the command of its container."""
    text = block("yaml")

    assert {"/livez", "/readyz"} == set(re.findall(r"path: (/\w+)", text))
    assert '"trio-instances", "run"' in text
