"""The command: hunt for worlds that break a law, or replay one."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from .hunting import Tally, hunt, judged
from .laws.base import Violation
from .report import replayed, report
from .world import World, from_json

_INTERRUPTED = 130
"""The exit code of what Ctrl-C has ended, as shells have it."""


def main(args: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        Its exit code: 0; 1 where a law was broken; 130 where Ctrl-C ended it, and none was until
        then.
    """
    given = _parser().parse_args(args)
    if given.replay is not None:
        return _replay(given.replay)

    began = time.monotonic()
    told = _told if given.progress else _silent
    tally = hunt(given.hours, given.seed, told=told, found=_found)
    sys.stdout.write(report(tally, time.monotonic() - began) + "\n")
    if tally.violations:
        return 1

    return _INTERRUPTED if tally.interrupted else 0


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
    try:
        world = from_json(_text(given))
    except OSError as exc:
        sys.stderr.write(f"{given!r} cannot be read: {exc.strerror}\n")
        return 2
    except ValueError as exc:
        sys.stderr.write(f"{given[:60]!r} holds no schedule: {exc}\n")
        return 2

    outcome = judged(world)
    sys.stdout.write(replayed(outcome) + "\n")
    return 1 if outcome.violations else 0


def _text(given: str) -> str:
    """Return what is to be replayed: the text itself, what comes in, or a file's."""
    if given.lstrip().startswith("{"):
        return given

    return sys.stdin.read() if given == "-" else Path(given).read_text(encoding="utf-8")


def _found(world: World, violation: Violation) -> None:
    sys.stderr.write(f"\nseed {world.seed} breaks a law: {violation}\nshrinking its schedule ...\n")
    sys.stderr.flush()


def _told(tally: Tally) -> None:
    sys.stderr.write(f"\r{tally.worlds} worlds, {tally.hours:,.0f} h ")
    sys.stderr.flush()


def _silent(_: Tally) -> None:
    """Nobody wants to know."""


if __name__ == "__main__":
    sys.exit(main())
