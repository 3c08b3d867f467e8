"""What a user makes, and shares among instances: a connection budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import trio

from ..policy.budget import BudgetPolicy
from ..policy.mistakes import MistakeList
from .turns import Seat, Turns

if TYPE_CHECKING:
    from ..policy.health import BudgetHealth
    from ..policy.rate import DayWindow
    from .record import InstanceRecord


@final
class ConnectionBudget:
    """What several instances may ask of one provider, or with one credential, all together.

    Give the same object to every `InstanceSpec` that is to share it, in any runtime of the process.
    Each attempt of theirs waits for its turn: first come, first served. So a fleet that starts, or
    that has lost its provider, comes at the budget's rate.

    It serves one Trio run at a time. In a later run it begins anew, as the clocks of two runs have
    nothing in common.

    Args:
        key: What telemetry and health call it: the name of the credential or the provider, say.
        policy: What may be asked.
        follows: One that this one takes the place of, with another policy. What was spent of the
            day is spent, and as long as both are in use they spend from one day.

    Raises:
        InvalidSpec: An argument is not what it must be; all of them are listed.
    """

    def __init__(
        self,
        key: str,
        policy: BudgetPolicy = BudgetPolicy(),
        *,
        follows: ConnectionBudget | None = None,
    ) -> None:
        wrong = MistakeList(f"ConnectionBudget {key!r}")
        wrong.text("key", key)
        wrong.instance("policy", policy, BudgetPolicy)
        wrong.instance("follows", follows, ConnectionBudget, optional=True)
        wrong.raise_any()
        self.key = key
        self.policy = policy
        self._follows = follows
        self._run: trio.lowlevel.TrioToken | None = None
        self._turns = Turns(key, policy)

    def __repr__(self) -> str:
        return f"<ConnectionBudget {self.key!r}>"

    def health(self) -> BudgetHealth:
        """Return what is left of it now, and how many wait.

        Raises:
            RuntimeError: It is in use in another Trio run.
        """
        return self._in_this_run().health()

    def _seat(self, record: InstanceRecord) -> Seat:
        """Return an instance's dealings with it.

        Raises:
            RuntimeError: It is in use in another Trio run.
        """
        return Seat(self._in_this_run(), record)

    def _in_this_run(self) -> Turns:
        run = trio.lowlevel.current_trio_token()
        if run is not self._run:
            if self._turns.in_use:
                msg = f"{self!r} is in use in another Trio run: make a budget for each run"
                raise RuntimeError(msg)

            self._turns = Turns(self.key, self.policy, self._spent_before(run))
            self._run, self._follows = run, None
        return self._turns

    def _spent_before(self, run: trio.lowlevel.TrioToken) -> DayWindow | None:
        """Return the day that those that it follows spend from in this run, sooner or later."""
        earlier = self._follows
        while earlier is not None:
            if earlier._run is run or not earlier._turns.in_use:  # noqa: SLF001 - of its own kind
                return earlier._in_this_run().machine.day  # noqa: SLF001 - of its own kind
            earlier = earlier._follows  # noqa: SLF001 - of its own kind
        return None
