"""One run of one contender, in a process of its own; prints the figures as JSON."""

from __future__ import annotations

import json
import sys

from .rounds import load, run_here


def main(workload: str, contender: str, size: str) -> None:
    """Run it, and print what it cost.

    Args:
        workload: The name of its module.
        contender: Who does it.
        size: How many items.
    """
    print(json.dumps(run_here(load(workload), contender, int(size))))


if __name__ == "__main__":
    main(*sys.argv[1:])
