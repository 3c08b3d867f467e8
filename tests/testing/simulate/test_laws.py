"""Each law of the simulator hears a story that keeps it, and stories that break it.

A law that could not be broken would prove nothing. So each sentence of each law has a story here
that is told falsely in one place, and what must be said of it.
"""

from __future__ import annotations

from typing import Any

import pytest

from trio_instances.testing.simulate.facts import (
    Asked,
)
from trio_instances.testing.simulate.laws import LAWS
from trio_instances.testing.simulate.laws.attempts import Attempts, Retries
from trio_instances.testing.simulate.laws.base import Law
from trio_instances.testing.simulate.laws.isolation import Recovery
from trio_instances.testing.simulate.world import World

from .broken import BROKEN
from .kept import KEPT
from .story import BORN, OPEN, Story
from .streams import (
    connecting,
    looked,
    scheduled,
    status,
    world,
)


def judged(law: type[Law], played: World, story: Story) -> list[str]:
    """Return what a law says of a story."""
    judge = law(played)
    for happened in story:
        judge.hear(happened)

    return [violation.text for violation in judge.violations]


@pytest.mark.parametrize(("law", "played", "story"), KEPT)
def test_a_law_says_nothing_of_a_story_that_keeps_it(
    law: type[Law], played: World, story: Story
) -> None:
    """Nothing that is right is called wrong."""
    assert judged(law, played, story) == []


@pytest.mark.parametrize(("law", "played", "story", "said"), BROKEN)
def test_a_law_tells_where_a_story_breaks_it(
    law: type[Law], played: World, story: Story, said: str
) -> None:
    """A story that is false in one place is caught, and the text names that place."""
    assert judged(law, played, story)[:1] == [said]


@pytest.mark.parametrize("stories", [KEPT, BROKEN])
def test_every_law_is_told_a_story(stories: list[tuple[Any, ...]]) -> None:
    """Each law has one that keeps it, and one that breaks it."""
    assert {law for law, *_ in stories} == set(LAWS)


def test_what_is_paused_need_not_be_connected() -> None:
    """An instance that somebody keeps disconnected keeps the law of recovery."""
    assert judged(Recovery, world(), [looked(9_000.0, "paused")]) == []


def test_an_operator_may_set_the_attempts_back() -> None:
    """After a restart that was asked for, the attempts are counted from 1 again."""
    asked = Asked(at=9.0, instance_id="bot", verb="restart")
    story = [BORN, *OPEN, asked, status(9.0, "stopping", "starting"), connecting(9.0, 2, 1)]

    assert judged(Attempts, world(), story) == []


def test_a_retry_that_somebody_asks_for_need_not_wait() -> None:
    """An operator's wish makes it due."""
    asked = Asked(at=1.0, instance_id="bot", verb="retry_now")

    assert judged(Retries, world(), [BORN, scheduled(0.0, 2.0, 2), asked, connecting(1.0, 2)]) == []
