"""What must be done so that what is wanted is what there is: laws for every pair of lists."""

from __future__ import annotations

from attrs import field, frozen
from hypothesis import given
from hypothesis import strategies as st

from trio_instances.policy.desired import Changes, changes


@frozen(eq=False)
class Line:
    """A channel that is compared by identity."""


@frozen
class Spec:
    """A specification as far as it matters here."""

    id: str
    channel: object = field(factory=Line)
    policy: int = 0


LINES = [Line() for _ in range(4)]
"""Few enough for them to change hands."""


@st.composite
def lists(draw: st.DrawFn) -> list[Spec]:
    """Draw a list with neither an id nor a channel object in it twice."""
    ids = draw(st.lists(st.sampled_from("abcd"), unique=True))
    lines = draw(st.permutations(LINES))
    return [
        Spec(each, line, draw(st.integers(0, 1))) for each, line in zip(ids, lines, strict=False)
    ]


def play(present: list[Spec], wanted: list[Spec], todo: Changes) -> list[Spec]:
    """Do what was decided, and hold each step against the law of one channel, one instance."""
    specs = {spec.id: spec for spec in wanted}
    running = {spec.id: spec for spec in present}
    lent = {}
    for each in todo.stop:
        spec = running.pop(each)
        if each in todo.lent:
            lent[each] = spec
    for each in todo.restart:
        assert (each in running) is not (each in lent)
        running.pop(each, None)
        assert all(spec.channel is not specs[each].channel for spec in running.values())
        running[each] = specs[each]
    for each in todo.start:
        assert all(spec.channel is not specs[each].channel for spec in running.values())
        running[each] = specs[each]
    return list(running.values())


@given(lists(), lists(), st.sets(st.sampled_from("abcd")))
def test_what_is_wanted_is_what_there_is_afterwards(
    present: list[Spec], wanted: list[Spec], down: set[str]
) -> None:
    """Whatever there was; and no channel object serves two at any moment."""
    after = play(present, wanted, changes(present, wanted, down=down))

    assert sorted(spec.id for spec in after) == sorted(spec.id for spec in wanted)
    assert set(after) == set(wanted)


@given(lists())
def test_what_there_is_needs_no_change(present: list[Spec]) -> None:
    """In whatever order it is wanted."""
    todo = changes(present, present[::-1])

    assert (todo.stop, todo.restart, todo.start) == ((), (), ())
    assert todo.unchanged == tuple(spec.id for spec in reversed(present))


@given(lists(), lists(), st.sets(st.sampled_from("abcd")))
def test_nothing_is_touched_without_a_reason(
    present: list[Spec], wanted: list[Spec], down: set[str]
) -> None:
    """What is restarted differs, or is down, or has a channel object that another one is to get."""
    old = {spec.id: spec for spec in present}
    todo = changes(present, wanted, down=down)

    for spec in wanted:
        mine = old.get(spec.id)
        taken = mine is not None and any(
            other.channel is mine.channel and other.id != mine.id for other in wanted
        )
        touched = mine is not None and (spec != mine or spec.id in down or taken)
        assert (spec.id in todo.restart) is touched
        assert (spec.id in todo.start) is (mine is None)
        assert (spec.id in todo.unchanged) is not (touched or mine is None)


@given(lists(), lists())
def test_every_list_is_in_order(present: list[Spec], wanted: list[Spec]) -> None:
    """Stops against the start order, all else as it is wanted."""
    newest_first = [spec.id for spec in reversed(present)]
    wanted_ids = [spec.id for spec in wanted]
    todo = changes(present, wanted)

    assert sorted(todo.stop, key=newest_first.index) == list(todo.stop)
    for each in (todo.restart, todo.start, todo.unchanged):
        assert sorted(each, key=wanted_ids.index) == list(each)


def test_two_that_swap_their_channels_are_both_stopped_first() -> None:
    """Each needs what the other one has, so neither can be restarted while the other runs."""
    one, two = LINES[:2]
    todo = changes([Spec("a", one), Spec("b", two)], [Spec("a", two), Spec("b", one)])

    assert todo.stop == ("b", "a")
    assert todo.lent == {"a", "b"}
    assert todo.restart == ("a", "b")


@frozen
class Equal:
    """A channel that is compared by what it is."""

    url: str = "ws://"


def test_an_equal_channel_object_is_a_difference_only_if_the_old_one_is_wanted_elsewhere() -> None:
    """Then the instance has to give its object away, and takes the new one."""
    old, new = Equal(), Equal()

    assert changes([Spec("a", old)], [Spec("a", new)]).unchanged == ("a",)
    todo = changes([Spec("a", old)], [Spec("a", new), Spec("b", old)])
    assert (todo.stop, todo.restart, todo.start) == (("a",), ("a",), ("b",))
