"""What watching for stalls costs: for a step of a task, and for a loop that has nothing to do.

A step is as short as can be: a checkpoint, in many tasks at once. So what is added is the largest
part of a step that it can be.

    python benchmarks/stalls.py
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from functools import partial

import trio

from trio_instances import open_supervisor, watch_stalls

TASKS = 100
STEPS = 2_000
ROUNDS = 7
IDLE = 3.0


async def busy() -> None:
    """Take many steps."""
    for _ in range(STEPS):
        await trio.lowlevel.checkpoint()


async def seconds_for_a_step(*, watched: bool) -> float:
    """Return the seconds that one step takes, in children of a supervisor."""
    with watch_stalls() if watched else nullcontext():
        began = time.perf_counter()
        async with open_supervisor() as supervisor:
            for number in range(TASKS):
                supervisor.start_soon(busy, name=f"child-{number}", restart="temporary")
        return (time.perf_counter() - began) / (TASKS * STEPS)


async def seconds_of_processor_when_idle(*, watched: bool) -> float:
    """Return the seconds of the processor that one second of nothing takes."""
    with watch_stalls() if watched else nullcontext():
        began = time.process_time()
        await trio.sleep(IDLE)
        return (time.process_time() - began) / IDLE


def main() -> None:
    """Measure by turns, so that another load on the machine falls on both; print the best."""
    plain, watched = [], []
    for _ in range(ROUNDS):
        plain.append(trio.run(partial(seconds_for_a_step, watched=False)))
        watched.append(trio.run(partial(seconds_for_a_step, watched=True)))
    a, b = min(plain), min(watched)
    print(f"a step: {a * 1e6:.2f} us, watched {b * 1e6:.2f} us: {(b - a) * 1e6:.2f} us more")

    a = trio.run(partial(seconds_of_processor_when_idle, watched=False))
    b = trio.run(partial(seconds_of_processor_when_idle, watched=True))
    print(f"an idle second: {a * 1e3:.2f} ms of the processor, watched {b * 1e3:.2f} ms")


if __name__ == "__main__":
    main()
