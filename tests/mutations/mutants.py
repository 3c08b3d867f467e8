"""Small deliberate bugs, each as a patch of one line or two, and what must catch it."""

from __future__ import annotations

from attrs import frozen


@frozen
class Worlds:
    """The simulator, on the worlds of these seeds."""

    seeds: tuple[int, ...]


@frozen
class Tests:
    """A part of the suite."""

    __test__ = False

    selected: str
    """A file, or one test in it, under ``tests``."""


@frozen
class Mutant:
    """One bug."""

    name: str
    file: str
    """Within the package."""
    old: str
    """What stands there; once."""
    new: str
    caught_by: Worlds | Tests


MUTANTS = (
    Mutant(
        "an intensity that allows one restart too many",
        "policy/intensity.py",
        "if len(times) >= self._limit:",
        "if len(times) > self._limit:",
        Worlds((2,)),
    ),
    Mutant(
        "an intensity whose period ends too early",
        "policy/intensity.py",
        "while times and now - times[0] > self._period:",
        "while times and now - times[0] >= self._period:",
        Tests("policy/test_intensity.py"),
    ),
    Mutant(
        "children that are cancelled from outside, all at once",
        "_supervision/running.py",
        "scope = record.scope = trio.CancelScope(shield=True)",
        "scope = record.scope = trio.CancelScope()",
        Worlds((2,)),
    ),
    Mutant(
        "a backoff that starts anew when a connection is opened",
        "policy/connection.py",
        "        phase=Phase.CONNECTED,\n        rotate_at=None if",
        "        phase=Phase.CONNECTED,\n        attempt=0,\n        rotate_at=None if",
        Worlds((2,)),
    ),
    Mutant(
        "a stop in start order",
        "_supervision/stopping.py",
        "newest_first = list(reversed(core.children.values()))",
        "newest_first = list(core.children.values())",
        Worlds((2,)),
    ),
    Mutant(
        "a group that does not wait for the end of what it restarts",
        "_supervision/rounds.py",
        "    await StopInTurn(core, _right_to_left(core, failed)).run()\n",
        "    await trio.lowlevel.checkpoint()\n",
        Worlds((3,)),
    ),
    Mutant(
        "a turn that wakes nobody",
        "_instance/turns.py",
        "            head.granted = True\n            head.alarm.cancel()\n",
        "            head.granted = True\n",
        Worlds((2,)),
    ),
    Mutant(
        "a signal of a dead generation that judges the living one",
        "policy/connection.py",
        "if signal.generation is None or signal.generation == state.generation:",
        "if signal.generation != state.successor or signal.generation is None:",
        Tests("policy/test_connection.py"),
    ),
    Mutant(
        "a budget whose burst is one too many",
        "policy/rate.py",
        "self._slack = (burst - 1) * self._interval",
        "self._slack = burst * self._interval",
        Worlds((2,)),
    ),
    Mutant(
        "a grant that is not given back",
        "_instance/turns.py",
        "        self._turns.machine.release(self)\n        self._turns.settle()\n\n    # --- what",
        "        self._turns.settle()\n\n    # --- what",
        Worlds((2,)),
    ),
    Mutant(
        "a delay without a cap",
        "policy/backoff.py",
        "return min(self.cap, self.initial * float(self.factor) ** attempt)",
        "return self.initial * float(self.factor) ** attempt",
        Worlds((2,)),
    ),
    Mutant(
        "a counter that a restart sets back",
        "_instance/record.py",
        "        self.session = None\n        self.failures_in_a_row = 0\n",
        "        self.session = None\n        self.failures_in_a_row = self.restarts = 0\n",
        Worlds((9,)),
    ),
    Mutant(
        "a probe that runs out of time and passes",
        "_instance/probing.py",
        "        self._context.copy().run(self._take_in_silence)",
        "        self._context.copy().run(self._take_in, None)",
        Worlds((5,)),
    ),
    Mutant(
        "probes that never fail a connection",
        "policy/health.py",
        "if verdict is ProbeVerdict.FATAL or recoverable >= failures:",
        "if verdict is ProbeVerdict.FATAL:",
        Worlds((5,)),
    ),
    Mutant(
        "a closing without a bound",
        "_instance/generation.py",
        "scope.deadline = trio.current_time() + record.spec.reconnect.closing(life.cause)",
        "scope.deadline = math.inf",
        Worlds((33,)),
    ),
    Mutant(
        "an attempt without a bound",
        "_instance/generation.py",
        "scope.deadline = trio.current_time() + record.spec.reconnect.connect_timeout",
        "scope.deadline = math.inf",
        Worlds((13,)),
    ),
    Mutant(
        "an incarnation that inherits the context of the one before",
        "_supervision/running.py",
        "        record.task.context = record.context.copy()\n",
        "",
        Worlds((2,)),
    ),
    Mutant(
        "a connection that does not wait for the end of the one before",
        "_instance/generation.py",
        "while others := _in_the_way(record, life):",
        "while others := []:",
        Tests("instance/test_handover.py"),
    ),
    Mutant(
        "a degradation that outlasts what it was about",
        "_instance/acting.py",
        'uptime=uptime)\n    record.recover("reconnect")\n',
        "uptime=uptime)\n",
        Worlds((2,)),
    ),
    Mutant(
        "instances that spend one another's restarts",
        "_runtime/runtime.py",
        "intensity=self.settings.instance_intensity,",
        "intensity=None,",
        Tests(
            "runtime/test_isolation.py::test_instances_do_not_spend_one_anothers_restarts",
        ),
    ),
    Mutant(
        "a hint of the other side that has no floor",
        "policy/reconnect.py",
        "return max(hint, self.hint_floor) + ",
        "return hint + ",
        Worlds((1, 8)),
    ),
    Mutant(
        "a connection that is proven too soon",
        "policy/connection.py",
        "seconds = max(p.stable_after, s.waited)",
        "seconds = p.stable_after / 2",
        Worlds((2,)),
    ),
    Mutant(
        "a fatal failure that is retried",
        "policy/connection.py",
        "if cause.failure_class is FailureClass.FATAL:",
        "if not cause:",
        Worlds((5,)),
    ),
    Mutant(
        "a pause that does not outlast an apply",
        "policy/signals.py",
        "            pause_wanted=self.pause_wanted,\n",
        "",
        Tests("runtime/test_apply.py"),
    ),
    Mutant(
        "a breaker that stays open",
        "policy/breaker.py",
        "def _close(_: BreakerState, *__: object) -> BreakerState:\n    return BreakerState()",
        "def _close(state: BreakerState, *__: object) -> BreakerState:\n    return state",
        Tests("policy/test_breaker.py"),
    ),
    Mutant(
        "a stopped child that is restarted",
        "_supervision/exits.py",
        "if record.stop_asked_at is not None or exit_ is None:",
        "if exit_ is None:",
        Worlds((5,)),
    ),
    Mutant(
        "a restart that remembers the failures in a row",
        "_instance/record.py",
        "        self.failures_in_a_row = 0\n\n    def become",
        "\n    def become",
        Tests("instance/test_reports.py"),
    ),
    Mutant(
        "a closing that is cut and not told of",
        "_instance/generation.py",
        "elif timed_out or (cause is not None and not cause.lost):",
        "elif cause is not None and not cause.lost:",
        Worlds((33,)),
    ),
    Mutant(
        "a reason whose time moves with its cause",
        "policy/status.py",
        "newer = evolve(reason, why=why)",
        "newer = evolve(reason, why=why, since=now)",
        Worlds((4,)),
    ),
)
