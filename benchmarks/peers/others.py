"""OTP and suture: small programs beside this file, that do the same and print the same figures."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from ..harness.values import Contender, Sample, WorkNotDoneError

HERE = Path(__file__).parent
GO_SOURCES = Path("/usr/share/gocode")
"""Where Debian puts the sources of Go libraries."""
DEADLINE = 100.0


def _otp_here() -> bool:
    return shutil.which("escript") is not None


def _suture_here() -> bool:
    sources = GO_SOURCES / "src/github.com/thejerf/suture/v4"
    return shutil.which("go") is not None and sources.is_dir()


def _figures(command: list[str], surroundings: dict[str, str] | None = None) -> Sample:
    done = subprocess.run(
        command, env=surroundings, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    if done.returncode != 0:
        raise WorkNotDoneError(f"{command}:\n{done.stdout}{done.stderr}")

    sample: Sample = json.loads(done.stdout.splitlines()[-1])
    return sample


def _run_otp(workload: str, size: int) -> Sample:
    return _figures(["escript", str(HERE / "otp.erl"), workload, str(size)])


def _run_suture(workload: str, size: int) -> Sample:
    surroundings = {**os.environ, "GO111MODULE": "off", "GOPATH": str(GO_SOURCES)}
    with TemporaryDirectory() as folder:
        program = f"{folder}/suture"
        subprocess.run(
            ["go", "build", "-o", program, str(HERE / "suture.go")],  # noqa: S607 - where it is
            env=surroundings,
            check=True,
        )
        return _figures([program, workload, str(size)])


def otp(workload: str) -> Contender:
    """Return OTP as a contender.

    Args:
        workload: What it does, by the name that its program knows.
    """
    return Contender(partial(_run_otp, workload), _otp_here)


def suture(workload: str) -> Contender:
    """Return suture as a contender.

    Args:
        workload: What it does, by the name that its program knows.
    """
    return Contender(partial(_run_suture, workload), _suture_here)
