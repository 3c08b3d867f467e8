"""The command: hunt for worlds that break a law, or replay one."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from .hunting import Tally, hunt
from .report import replayed, report
from .stage import play
from .world import from_json


def main(args: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        Its exit code: 0, or 1 where a law was broken.
    """
    given = _parser().parse_args(args)
    if given.replay is not None:
        return _replay(given.replay)

    began = time.monotonic()
    tally = hunt(given.hours, given.seed, told=_told if given.progress else _silent)
    sys.stdout.write(report(tally, time.monotonic() - began) + "\n")
    return 1 if tally.violations else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m trio_instances.testing.simulate", description=__doc__
    )
    parser.add_argument(
        "--hours", type=float, default=100.0, help="simulated hours of a runtime being up"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="of the first world; the next is one up"
    )
    parser.add_argument("--progress", action="store_true", help="tell on stderr how far it is")
    parser.add_argument(
        "--replay", metavar="FILE", help="play what a violation printed: a file, - , or the text"
    )
    return parser


def _replay(given: str) -> int:
    if given.lstrip().startswith("{"):
        text = given
    else:
        text = sys.stdin.read() if given == "-" else Path(given).read_text(encoding="utf-8")
    try:
        world = from_json(text)
    except ValueError as exc:
        sys.stderr.write(f"{given[:60]!r} holds no schedule: {exc}\n")
        return 2

    outcome = play(world)
    sys.stdout.write(replayed(outcome) + "\n")
    return 1 if outcome.violations else 0


def _told(tally: Tally) -> None:
    sys.stderr.write(f"\r{tally.worlds} worlds, {tally.hours:,.0f} h ")
    sys.stderr.flush()


def _silent(_: Tally) -> None:
    """Nobody wants to know."""


if __name__ == "__main__":
    sys.exit(main())
