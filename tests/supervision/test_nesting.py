"""Trees: a supervisor is an ordinary child of another."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    ChildDeclined,
    ChildSpec,
    ChildStartFailed,
    InvalidSpec,
    RestartIntensity,
    RestartLimitExceeded,
    current_child_path,
    open_supervisor,
    supervise,
    telemetry,
)

from .conftest import Crash, Puppet, Recorder, puppets, quiet, states, supervised


def tree(name: str, *specs: ChildSpec, intensity: int = 1, **options: object) -> ChildSpec:
    """Return a child that is a supervisor of some children."""
    run = partial(supervise, specs, intensity=RestartIntensity(intensity, 1000))
    return ChildSpec(name, run, **options)  # type: ignore[arg-type]  # what a test passes on


async def test_a_subtree_is_ready_when_all_its_children_are(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """N1: its start is done when the last of its children is; they are its supervisor's."""

    async def slow(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(5)
        task_status.started()
        await trio.sleep_forever()

    began = trio.current_time()
    async with supervised(recorder) as supervisor:
        spec = tree("tree", Puppet("a").spec(), ChildSpec("b", slow))
        child = await supervisor.start_child(spec)
        assert trio.current_time() - began == 5.0
        assert states(child.value) == {"a": "running", "b": "running"}
        assert [info.path for info in child.value.which_children()] == [
            "supervisor/tree/a", "supervisor/tree/b",
        ]  # fmt: skip


async def test_a_subtree_that_cannot_start_is_a_failed_start(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """N1, N5: what had begun is taken down, and nothing is retried while starting."""
    a, b = Puppet("a"), Puppet("b", ["error"])
    async with supervised(recorder) as supervisor:
        with pytest.raises(ChildStartFailed) as caught:
            await supervisor.start_child(tree("tree", a.spec(), b.spec(), intensity=10))
        assert isinstance(caught.value.__cause__, ChildStartFailed)
        assert isinstance(caught.value.__cause__.__cause__, Crash)
        assert (a.alive, b.attempts) == (0, 1)


async def test_a_subtree_may_decline_after_its_first_children_have_started(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A2: its children are stopped, nothing is left of its supervisor, and that is no failure."""
    a = Puppet("a")

    async def subtree(*, task_status: trio.TaskStatus[None]) -> None:
        async with open_supervisor() as inner:
            await inner.start_child(a.spec())
            raise ChildDeclined

    async with supervised(recorder, intensity=RestartIntensity(0, 5)) as supervisor:
        child = await supervisor.start_child(ChildSpec("tree", subtree))
        assert (child.state, a.alive, a.attempts) == ("stopped", 0, 1)
        assert supervisor.count_children().supervisors == 0


@pytest.mark.parametrize("where", ["before its supervisor opens", "inside the block"])
async def test_a_subtree_that_raises_before_it_is_ready_says_what_it_raised(
    autojump_clock: MockClock, where: str, recorder: Recorder
) -> None:
    """A4: the error is the reason of the failed start, whatever it was in the middle of."""
    a = Puppet("a")

    async def subtree(*, task_status: trio.TaskStatus[None]) -> None:
        if where == "before its supervisor opens":
            raise Crash("no settings")
        async with open_supervisor() as inner:
            await inner.start_child(a.spec())
            raise Crash("no settings")

    async with supervised(recorder) as supervisor:
        with pytest.raises(ChildStartFailed, match="no settings") as caught:
            await supervisor.start_child(ChildSpec("tree", subtree))
        assert isinstance(caught.value.__cause__, Crash)
        assert (a.alive, states(supervisor)) == (0, {})


async def test_each_attempt_to_restart_a_subtree_counts_on_the_outer_supervisor(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """N5: the inner one does no retries of its own during a start."""
    a = Puppet("a", ["ok", "error"])
    with pytest.raises(RestartLimitExceeded) as caught:
        async with supervised(
            recorder, tree("tree", a.spec(), intensity=0), intensity=RestartIntensity(3, 1000)
        ):
            a.crash()
            await trio.sleep_forever()
    assert caught.value.child == "supervisor/tree"
    assert a.attempts == 1 + 3


async def test_a_crash_inside_is_handled_inside(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """N2: other subtrees, and the outer supervisor, see nothing of it."""
    a, b = puppets("ab")
    async with supervised(recorder, tree("left", a.spec()), tree("right", b.spec())) as supervisor:
        a.crash()
        await quiet()
        assert recorder.take() == ["crashed a#1", "started a#2"]
        assert [child.restarts for child in supervisor.which_children()] == [0, 0]


async def test_an_inner_supervisor_that_gives_up_is_restarted_from_its_specifications(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """N3: one outer restart; children added by hand are lost, deleted ones are back."""
    a, b, added = puppets(["a", "b", "added"])
    async with supervised(recorder) as supervisor:
        child = await supervisor.start_child(tree("tree", a.spec(), b.spec(), intensity=0))
        inner = child.value
        await inner.start_child(added.spec())
        await inner.terminate_child("b")
        await inner.delete_child("b")
        assert states(child.value) == {"a": "running", "added": "running"}
        a.crash()
        await quiet()
        assert child.restarts == 1
        assert child.value is not inner
        assert states(child.value) == {"a": "running", "b": "running"}
        (escalated,) = recorder.of(telemetry.SupervisorEscalated)
        assert escalated.path == "supervisor/tree"


@pytest.mark.parametrize("restart", ["permanent", "transient"])
async def test_an_inner_supervisor_that_gives_up_has_crashed(
    autojump_clock: MockClock, restart: str, recorder: Recorder
) -> None:
    """N4: our one deviation from OTP: a transient subtree is restarted, not silently left down."""
    a = Puppet("a")
    async with supervised(
        recorder, tree("tree", a.spec(), intensity=0, restart=restart)
    ) as supervisor:
        a.crash()
        await quiet()
        assert (states(supervisor), a.attempts) == ({"tree": "running"}, 2)


async def test_intensities_of_levels_multiply(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """N3: with one restart on each of two levels the fourth crash ends the top."""
    a = Puppet("a")
    crashes = 0
    with pytest.raises(RestartLimitExceeded) as caught:
        async with supervised(
            recorder, tree("tree", a.spec(), intensity=1), intensity=RestartIntensity(1, 1000)
        ):
            while True:
                crashes += 1
                a.crash()
                await quiet()
    assert crashes == 4
    assert isinstance(caught.value.__cause__, RestartLimitExceeded)
    assert isinstance(caught.value.__cause__.__cause__, Crash)


async def test_a_tree_stops_depth_first_from_right_to_left(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """N6: a subtree is done before its left neighbour is asked, under cancellation too."""
    leaves = [Puppet(name, cleanup=1.0) for name in "abcd"]
    a, b, c, d = (leaf.spec() for leaf in leaves)
    with trio.move_on_after(10):
        async with supervised(recorder, tree("left", a, b), tree("right", c, tree("deep", d))):
            await trio.sleep_forever()
    assert [line[:-2] for line in recorder.take() if line.startswith("stop")] == [
        "stop right", "stop deep", "stop d", "stopped d", "stopped deep",
        "stop c", "stopped c", "stopped right",
        "stop left", "stop b", "stopped b", "stop a", "stopped a", "stopped left",
    ]  # fmt: skip


async def test_a_subtree_that_fails_beside_its_children_is_restarted_with_new_ones(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """N7: an error in the block of an inner supervisor takes its children down and up again."""
    a, b = Puppet("a", cleanup=1.0), Puppet("b", cleanup=1.0)
    fail = trio.Event()

    async def subtree(*, task_status: trio.TaskStatus[None]) -> None:
        nonlocal fail
        fail = trio.Event()
        async with open_supervisor() as inner:
            await inner.start_children([a.spec(), b.spec()])
            task_status.started()
            await fail.wait()
            raise Crash

    async with supervised(recorder, ChildSpec("tree", subtree)) as supervisor:
        fail.set()
        await trio.sleep(10)
        assert states(supervisor) == {"tree": "running"}
        assert recorder.take() == [
            "stop b#1", "stopped b#1", "stop a#1", "stopped a#1", "crashed tree#1",
            "started a#1", "started b#1", "started tree#2",
        ]  # fmt: skip
        assert (a.attempts, b.attempts, a.most_alive, b.most_alive) == (2, 2, 1, 1)


async def test_the_path_and_the_task_names_show_the_tree(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Names are joined by a slash; ordinary Trio tools see them as task names."""
    seen = []

    async def leaf() -> None:
        seen.append((current_child_path(), trio.lowlevel.current_task().name))
        await trio.sleep_forever()

    async with supervised(
        recorder, tree("left", tree("deep", ChildSpec("leaf", leaf))), name="root"
    ):
        await quiet()
    assert seen == [("root/left/deep/leaf", "root/left/deep/leaf")]
    assert current_child_path() is None


async def test_supervise_returns_when_no_child_is_left(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A subtree whose children have all ended for good has returned."""
    a = Puppet("a")
    async with supervised(
        recorder, tree("tree", a.spec(restart="transient"), restart="transient")
    ) as supervisor:
        a.finish()
        await quiet()
        assert states(supervisor) == {"tree": "stopped"}


async def test_supervise_refuses_bad_input_before_anything_starts(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """V20, law 12: all mistakes are listed, and no child ran."""
    a = Puppet("a")
    with pytest.raises(InvalidSpec) as caught:
        await supervise([a.spec()], strategy="one_for_none", auto_shutdown="sometimes")
    assert [mistake.place for mistake in caught.value.mistakes] == ["strategy", "auto_shutdown"]
    with pytest.raises(InvalidSpec):
        await supervise([a.spec(), a.spec()])
    assert a.attempts == 0


async def test_a_supervisor_opened_deep_in_a_child_s_helpers_is_within_that_child(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """It uses the child's path, and tells its events where the supervisor around it does."""

    async def helper() -> None:
        async with open_supervisor() as inner:
            inner.start_soon(trio.sleep_forever, name="leaf")
            await trio.sleep_forever()

    async def child() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(helper)

    async with supervised(recorder, ChildSpec("a", child)) as supervisor:
        await quiet()
        assert [event.path for event in recorder.of(telemetry.ChildStarted)][-1] == (
            "supervisor/a/leaf"
        )
        assert supervisor.count_children().supervisors == 1


async def test_a_subtree_without_children_ends_unless_its_block_stays(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """N8: `supervise` returns when its last child is down; a pool is a block that does not end."""

    async def pool(*, task_status: trio.TaskStatus[object]) -> None:
        async with open_supervisor() as inner:
            task_status.started(inner)
            await trio.sleep_forever()

    temporary = ChildSpec("job", partial(trio.sleep, 1.0), restart="temporary")
    specs = [tree("tree", temporary, restart="transient"), ChildSpec("pool", pool)]
    async with supervised(recorder, *specs) as supervisor:
        child = supervisor.which_children()[1]
        await trio.sleep(2.0)
        assert states(supervisor) == {"tree": "stopped", "pool": "running"}
        assert child.incarnation == 1


async def test_deep_trees_come_down_promptly(autojump_clock: MockClock, recorder: Recorder) -> None:
    """Twenty levels without a soft part take no virtual time to stop."""
    spec = Puppet("leaf").spec()
    for level in range(20):
        spec = tree(f"level-{level}", spec)
    async with supervised(recorder, spec) as supervisor:
        began = trio.current_time()
        await supervisor.stop()
        assert trio.current_time() == began
