"""Restarting a group: under ``one_for_all`` and ``rest_for_one`` a crash takes siblings along.

Exits are settled one after the other, each while its round holds the supervisor's turn. A round
stops the group right to left and starts it left to right. If a member fails to start, what is up
stays up, and a new round for that member queues up behind whatever else wants the turn: so verbs
and a stop get through a group that cannot start. An exit of a member that dies while its group is
being stopped is consumed by the round: it neither counts nor restarts anything a second time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from trio.lowlevel import enable_ki_protection

from ..policy.restart import ChildState, RestartType, Verdict
from ..policy.strategies import affected
from .exits import settle
from .running import pause
from .stopping import StopInTurn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .core import Core
    from .record import ChildExit, ChildRecord

Due = tuple["ChildRecord", float]
"""The member for which the next round is, and the delay before it."""


def queue_round(core: Core, record: ChildRecord, exit_: ChildExit) -> None:
    """Have an exit settled when its turn comes."""
    core.spawn(_settle_in_turn, core, record, exit_, name=f"{core.path} (restarting)")


@enable_ki_protection
async def _settle_in_turn(core: Core, record: ChildRecord, exit_: ChildExit) -> None:
    # Shielded like the children: only the supervisor's own stop cancels it.
    with trio.CancelScope(shield=True) as scope:
        core.rounds = (*core.rounds, scope)
        try:
            await _rounds(core, record, exit_)
        finally:
            core.rounds = tuple(each for each in core.rounds if each is not scope)
    core.left()


async def _rounds(core: Core, record: ChildRecord, exit_: ChildExit) -> None:
    assert core.turn is not None
    async with core.turn:
        if record.exit is not exit_:
            return  # another round has consumed it

        decision = settle(core, record, exit_, trio.current_time())
        del exit_
        if decision.verdict is not Verdict.RESTART:
            return

        await _stop_group(core, record)
        due: Due | None = (record, decision.delay)
        if decision.delay == 0.0:
            due = await _start_group(core, record)
    while due is not None:
        due = await _next_round(core, *due)


async def _next_round(core: Core, record: ChildRecord, delay: float) -> Due | None:
    assert core.turn is not None
    restarts = record.restarts
    await pause(record, delay)
    async with core.turn:
        stale = record.restarts != restarts or record.state is not ChildState.RESTARTING
        if core.closing or stale:
            return None  # something else has restarted or stopped it meanwhile, or is about to

        await _stop_group(core, record)
        return await _start_group(core, record)


def _group(core: Core, record: ChildRecord) -> Sequence[ChildRecord]:
    return affected(core.options.strategy, list(core.children.values()), record)


async def _stop_group(core: Core, failed: ChildRecord) -> None:
    await StopInTurn(core, _right_to_left(core, failed)).run()


def _right_to_left(core: Core, failed: ChildRecord) -> Iterator[ChildRecord]:
    """Yield the members to stop, each when those before it have ended."""
    to_stop, newest = list(_group(core, failed)), _newest(core)
    while to_stop:
        member = to_stop.pop()
        if member is not failed and member.state is not ChildState.RESTARTING:
            yield member
        if _newest(core) is not newest:
            # start_soon takes no turn: what it added meanwhile is the first to be stopped now.
            to_stop, newest = list(_group(core, failed)), _newest(core)


def _newest(core: Core) -> ChildRecord | None:
    return next(reversed(core.children.values()), None)


async def _start_group(core: Core, failed: ChildRecord) -> Due | None:
    for member in _group(core, failed):
        if member.state not in (ChildState.STOPPED, ChildState.RESTARTING):
            continue
        if member.spec.restart is RestartType.TEMPORARY:
            continue
        if core.closing:
            return None  # the stop does not look again at those it has found down

        core.launch(member, awaited=True)
        launch = member.launches
        while member.is_unsettled(launch):
            await member.wait_change()
        exit_ = member.take_failed_start()
        if exit_ is not None:
            decision = settle(core, member, exit_, trio.current_time())
            if decision.verdict is Verdict.RESTART:
                return member, decision.delay
            if decision.verdict is Verdict.ESCALATE:
                return None
        elif member.stop_asked_at is not None:
            return None  # somebody stopped it on its way up: what is up stays up
    return None
