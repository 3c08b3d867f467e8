"""Budgets in a configuration file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from trio_instances import (
    BreakerPolicy,
    BudgetPolicy,
    ConnectionBudget,
    InstanceSpec,
    InvalidSpec,
    Runtime,
    open_runtime,
)
from trio_instances._runtime.config import Config, load_config
from trio_instances.channels import MemoryChannel, MemoryServer

Load = Callable[..., Config]

TWO = """
    [defaults]
    url = "ws://127.0.0.1:9/"
    budget = "discord"

    [budgets.discord]
    attempts_per_second = 0.2

    [[instances]]
    id = "bot-1"

    [[instances]]
    id = "bot-2"
"""


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return a function that loads a text."""

    def load_text(text: str, *budgets: ConnectionBudget) -> Config:
        file = tmp_path / "bots.toml"
        file.write_text(text, encoding="utf-8")
        return load_config(file, budgets=budgets)

    return load_text


def mistakes(load: Load, text: str) -> list[str]:
    """Load a broken text, and return its mistakes as people see them."""
    with pytest.raises(InvalidSpec) as refused:
        load(text)
    return [str(mistake) for mistake in refused.value.mistakes]


def test_instances_that_name_one_budget_share_it(load: Load) -> None:
    """It is one object, whether the instance names it or the defaults do."""
    config = load(TWO + 'budget = "discord"')
    first, second = config.instances

    assert config.budgets == (first.budget,)
    assert first.budget is second.budget
    assert first.budget is not None
    assert (first.budget.key, first.budget.policy) == (
        "discord",
        BudgetPolicy(attempts_per_second=0.2),
    )


def test_every_field_of_a_budget_can_be_set(load: Load) -> None:
    """Its breaker's as well; ``breaker = false`` is Python's None."""
    config = load("""
        [budgets.a]
        attempts_per_second = 2
        burst = 3
        attempts_per_day = 900
        in_flight = 4
        breaker = { share = 0.7, minimum = 2, window = 30, backoff = { cap = 9 } }

        [budgets.b]
        breaker = false

        [[instances]]
        id = "bot-1"
        url = "ws://127.0.0.1:9/"
    """)

    backoff = evolve(BreakerPolicy().backoff, cap=9)
    assert config.budgets[0].policy == BudgetPolicy(
        attempts_per_second=2,
        burst=3,
        attempts_per_day=900,
        in_flight=4,
        breaker=BreakerPolicy(share=0.7, minimum=2, window=30, backoff=backoff),
    )
    assert config.budgets[1].policy.breaker is None
    assert config.instances[0].budget is None


def test_a_file_without_budgets_has_none(load: Load) -> None:
    """Nobody needs one."""
    config = load('[[instances]]\nid = "bot-1"\nurl = "ws://127.0.0.1:9/"')

    assert config.budgets == ()


def test_a_budget_that_is_not_there_is_named_with_those_that_are(load: Load) -> None:
    """The place, the word, the way out."""
    assert mistakes(load, TWO + 'budget = "slack"') == [
        "instances[1].budget: must be the key of a table in budgets ('discord'), not 'slack'"
    ]
    assert mistakes(
        load, '[[instances]]\nid = "a"\nurl = "ws://127.0.0.1:9/"\nbudget = ["discord"]'
    ) == ["instances[0].budget: must be the key of a table in budgets (none), not ['discord']"]


def test_every_mistake_in_a_budget_is_listed_once(load: Load) -> None:
    """With its place; the instances that name it are not blamed."""
    assert mistakes(
        load,
        """
        [budgets.discord]
        attempts_per_second = 0
        bursts = 5
        breaker = { share = 2.0 }

        [budgets.slack]
        breaker = true

        [[instances]]
        id = "bot-1"
        url = "ws://127.0.0.1:9/"
        budget = "discord"
        """,
    ) == [
        "budgets.discord.bursts: is not known here; did you mean 'burst'?",
        "budgets.discord.breaker.share: must be a number above 0 and at most 1, not 2.0",
        "budgets.discord.attempts_per_second: must be a finite number at least 1.15741e-05, not 0",
        "budgets.slack.breaker: must be a table, or false for no breaker",
    ]


@pytest.mark.parametrize("given", ["budgets = 5", "budgets = { a = 5 }"])
def test_what_is_no_table_of_budgets_is_refused(load: Load, given: str) -> None:
    """Each key has a table."""
    (mistake,) = mistakes(load, f'{given}\n[[instances]]\nid = "a"\nurl = "ws://127.0.0.1:9/"')

    assert "must be a table" in mistake


def test_an_empty_key_is_refused_in_its_place(load: Load) -> None:
    """TOML allows it, and a budget does not."""
    (mistake,) = mistakes(
        load, TWO.replace("budgets.discord", 'budgets.""').replace('"discord"', '""')
    )

    assert mistake.startswith("budgets")


async def test_a_budget_of_another_policy_keeps_what_was_spent_of_the_day(
    instance_runtime: Runtime, load: Load, autojump_clock: MockClock
) -> None:
    """A provider does not forget it because a file has changed, and has changed again."""
    limited = TWO.replace("0.2", "0.2\nattempts_per_day = {}")
    first = load(limited.format(10))
    (budget,) = first.budgets
    channels = [MemoryChannel(MemoryServer()) for _ in range(3)]
    for number, channel in enumerate(channels):
        spec = InstanceSpec(id=f"bot-{number}", channel=channel, budget=budget)
        await instance_runtime.start_instance(spec)
    await instance_runtime.instance("bot-2").wait_status("connected")
    assert budget.health().left_today == 7

    unused = load(limited.format(20), budget)
    (later,) = load(limited.format(5), *unused.budgets).budgets
    assert later.health().left_today == 2
    spec = InstanceSpec(id="more", channel=MemoryChannel(MemoryServer()), budget=later)
    more = await instance_runtime.start_instance(spec)
    await more.wait_status("connected")

    assert (later.health().left_today, budget.health().left_today) == (1, 6)


async def test_a_budget_that_is_used_before_the_one_it_follows_spends_from_its_day(
    load: Load, autojump_clock: MockClock
) -> None:
    """Which of them is used first is chance; the provider has one day for both."""
    limited = TWO.replace("0.2", "0.2\nattempts_per_day = {}")
    (first,) = load(limited.format(10)).budgets
    (later,) = load(limited.format(5), first).budgets
    async with open_runtime() as runtime:
        for number, budget in enumerate((later, first)):
            channel = MemoryChannel(MemoryServer())
            spec = InstanceSpec(id=f"bot-{number}", channel=channel, budget=budget)
            bot = await runtime.start_instance(spec)
            await bot.wait_status("connected")

        assert (later.health().left_today, first.health().left_today) == (3, 8)


def test_in_another_run_of_trio_a_day_begins_anew(load: Load) -> None:
    """Its clock has nothing in common with the one before."""
    limited = TWO.replace("0.2", "0.2\nattempts_per_day = {}")
    (first,) = load(limited.format(10)).budgets

    async def spend() -> None:
        async with open_runtime() as runtime:
            channel = MemoryChannel(MemoryServer())
            bot = await runtime.start_instance(
                InstanceSpec(id="bot", channel=channel, budget=first)
            )
            await bot.wait_status("connected")
        assert first.health().left_today == 9

    async def look(budget: ConnectionBudget) -> int | None:
        return budget.health().left_today

    trio.run(spend)
    (later,) = load(limited.format(5), first).budgets

    assert trio.run(look, later) == 5


def test_what_a_budget_follows_is_one() -> None:
    """Its key alone does not say which one is meant."""
    with pytest.raises(InvalidSpec, match="follows"):
        ConnectionBudget("b", follows="a")  # type: ignore[arg-type]  # that is the point


def test_a_budget_goes_on_where_a_later_reading_says_the_same(load: Load) -> None:
    """What was spent stays spent; one of another policy is another budget."""
    first = load(TWO)
    same = load(TWO, *first.budgets)
    other = load(TWO.replace("0.2", "0.5"), *first.budgets)

    assert same.budgets[0] is first.budgets[0]
    assert same.instances[0].budget is first.budgets[0]
    assert other.budgets[0] is not first.budgets[0]
