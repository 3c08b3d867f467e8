"""What telling costs a restart while nobody listens: the tests for listeners, and their calls."""

from __future__ import annotations

from functools import partial
from time import perf_counter

import trio

from trio_instances import open_supervisor
from trio_instances._supervision.reporter import Reporter
from trio_instances.policy.restart import Decision, Verdict

from .crew import CrashError
from .harness.command import main
from .harness.values import OURS, Contender, Figure, Sample, Target, Workload, check
from .restarts import ours as restart_often


async def ours(size: int) -> Sample:
    """Restart often; then make the calls that a restart makes to tell of itself, and no restart."""
    restart = (await restart_often(size))["restart"]
    async with open_supervisor() as supervisor:
        await supervisor.start(trio.sleep_forever, name="child")
        core = supervisor._core  # noqa: SLF001 - no restart without its telling is to be had
        check("nobody listens", core.reporter.bus.listening, expected=False)
        record = core.children["child"]
        cause = core.classify("child", CrashError())
        decision = Decision(Verdict.RESTART)
        reporter: Reporter = core.reporter
        begun = perf_counter()
        for _ in range(size):
            reporter.exited(record, 0.0, cause)
            reporter.restarting(record, 0.0, cause, decision)
            reporter.started(record, 0.0)
        taken = perf_counter() - begun
        await supervisor.stop()
    return {"restart": restart, "telling": taken / size}


WORKLOAD = Workload(
    name="unheard",
    title="The telemetry of a restart that nobody listens to, {n} times",
    size=20_000,
    tiny=20,
    figures=(Figure("restart", "µs", 1e6), Figure("telling", "µs", 1e6)),
    contenders={OURS: Contender(partial(trio.run, ours))},
    targets=(Target("telling", 0.02, of=OURS, of_figure="restart"),),
)

if __name__ == "__main__":
    main(WORKLOAD)
