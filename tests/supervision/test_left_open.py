"""What a child leaves open, a cancel scope above all, harms nobody else: not even its next run."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trio_instances import telemetry
from trio_instances._supervision import scopes

from .conftest import Crash, Puppet, Recorder, states, supervised


async def leaves_open() -> None:
    """Return from within a scope."""
    trio.CancelScope().__enter__()


@pytest.mark.parametrize("restart", ["temporary", "transient"])
async def test_a_child_that_leaves_a_scope_open_has_failed_and_ends_no_other_one(
    restart: str, autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Its failure says what it has done; Trio's own says it to nobody."""
    sibling = Puppet("sibling")
    async with supervised(recorder, sibling.spec()) as supervisor:
        supervisor.start_soon(leaves_open, restart=restart, essential=False)
        await trio.sleep(1)
        assert states(supervisor)["sibling"] == "running"
    causes = [event.cause for event in recorder.of(telemetry.ChildExited)]
    assert [cause.detail for cause in causes if cause is not None] == [
        "child 'supervisor/leaves_open' has left a cancel scope or a nursery open"
    ] * (1 if restart == "temporary" else 2)


async def test_a_scope_that_was_left_open_cancels_nothing_of_the_next_run(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Each incarnation is new: the time limit of one that is dead is no limit of the next."""
    ended: list[float] = []

    async def child() -> None:
        if child_of.incarnation == 1:
            trio.move_on_after(3).__enter__()
            raise Crash
        try:
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time())

    async with supervised(recorder) as supervisor:
        child_of = supervisor.start_soon(child)
        await trio.sleep(10)
        assert (child_of.state, child_of.incarnation, ended) == ("running", 2, [])


async def test_where_trio_does_not_tell_what_is_open_a_child_still_ends_no_other_one(
    autojump_clock: MockClock, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then nobody knows that it has failed, as its end was told before its scope was left."""
    monkeypatch.setattr(scopes, "INNERMOST", "_gone")
    sibling = Puppet("sibling")
    async with supervised(recorder, sibling.spec()) as supervisor:
        supervisor.start_soon(leaves_open, restart="temporary")
        await trio.sleep(1)
        assert states(supervisor) == {"sibling": "running"}
