"""Machines 2, 4 and 5 together, played at random: a fleet under one budget; the laws after each.

The shell is played as simply as it can be: a signal's actions are done at once, an attempt that was
begun is there until it is ended by a rule, and time passes by rules alone.
"""

from __future__ import annotations

import math

from attrs import define, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from trio_instances.policy.backoff import Backoff
from trio_instances.policy.breaker import BreakerPhase, BreakerPolicy
from trio_instances.policy.budget import Budget, BudgetPolicy
from trio_instances.policy.connection import step
from trio_instances.policy.failures import Cause, FailureClass
from trio_instances.policy.rate import DAY
from trio_instances.policy.reconnect import ReconnectPolicy
from trio_instances.policy.signals import ActionKind, ConnectionState, Phase, Signal, SignalKind

from .strategies import causes, chances, reconnect_policies

breaker_policies = st.builds(
    BreakerPolicy,
    share=st.sampled_from([0.3, 0.5, 1.0]),
    minimum=st.integers(1, 3),
    window=st.sampled_from([5.0, 60.0]),
    backoff=st.builds(
        Backoff, initial=st.sampled_from([0.0, 1.0]), cap=st.sampled_from([1.0, 30.0])
    ),
    stable_after=st.sampled_from([0.0, 2.0, 10.0]),
    patience=st.sampled_from([5.0, 60.0]),
)
budget_policies = st.builds(
    BudgetPolicy,
    attempts_per_second=st.sampled_from([0.2, 1.0, 8.0]),
    burst=st.integers(1, 3),
    attempts_per_day=st.one_of(st.none(), st.integers(2, 10)),
    in_flight=st.one_of(st.none(), st.integers(1, 3)),
    breaker=st.one_of(st.none(), breaker_policies),
)
members = st.integers(0, 4)
retried = causes(st.sampled_from([FailureClass.RECOVERABLE, FailureClass.DEGRADED]))

UP = {Phase.CONNECTED, Phase.PROVEN}
OVER = {Phase.FAILED, Phase.STOPPED}
COUNTED = {Phase.QUEUED, Phase.CONNECTING, *UP}


@define(eq=False)
class Bot:
    """One instance: its connection machine, and what of an attempt is there."""

    state: ConnectionState = field(factory=lambda: ConnectionState(budgeted=True))
    alive: bool = False
    """Whether an attempt, or what became of it, has not ended yet."""
    flying: bool = False
    """... and has never had a connection."""
    opened_at: float = math.inf
    canary: bool = False
    """Whether it was the canary when it got its connection."""


class BudgetMachine(RuleBasedStateMachine):
    """Five instances, one budget, any order of events."""

    @initialize(policy=budget_policies, reconnect=reconnect_policies)
    def begin(self, policy: BudgetPolicy, reconnect: ReconnectPolicy) -> None:
        """Begin with a fleet that was not started."""
        self.policy = policy
        self.reconnect = reconnect
        self.budget = Budget(policy)
        self.bots = [Bot() for _ in range(5)]
        self.now = 1000.0
        self.line: list[Bot] = []
        """Who waits, by the order of coming."""
        self.granted: list[float] = []

    # --- what can happen

    @rule()
    def start_everyone(self) -> None:
        """Start whoever was not started."""
        for bot in self.bots:
            self.send(bot, SignalKind.START)
        self.settle()

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 7.0, 61.0, 3600.0, DAY]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.settle()

    @rule()
    def wait_for_what_is_next(self) -> None:
        """Let time pass until something is due."""
        self.now = max(self.now, min(self.next_time(), self.now + DAY))
        self.settle()

    @rule(which=members)
    def connect(self, which: int) -> None:
        """Let an attempt succeed."""
        bot = self.bots[which]
        if bot.alive:
            self.send(bot, SignalKind.OPENED)
        self.settle()

    @rule(cause=retried, u=chances)
    def lose_everyone(self, cause: Cause, u: float) -> None:
        """Let the provider die."""
        for bot in self.bots:
            self.send(bot, SignalKind.LOST, cause, u)
        self.settle()

    @rule(which=members, cause=causes(), u=chances)
    def lose(self, which: int, cause: Cause, u: float) -> None:
        """Lose an attempt or a connection, perhaps for good."""
        self.send(self.bots[which], SignalKind.LOST, cause, u)
        self.settle()

    @rule(which=members)
    def end(self, which: int) -> None:
        """Let the closing end of whatever is to be closed."""
        self.close(self.bots[which])
        self.settle()

    @rule(
        which=members,
        kind=st.sampled_from([kind for kind in SignalKind if kind not in {"granted", "opened"}]),
        cause=causes(),
        u=chances,
    )
    def hear(self, which: int, kind: SignalKind, cause: Cause, u: float) -> None:
        """Let one hear, or an operator wish, whatever fits the phase or does not."""
        self.send(self.bots[which], kind, cause, u)
        self.settle()

    @rule(which=members)
    def start_anew(self, which: int) -> None:
        """Restart one that came to its end."""
        bot = self.bots[which]
        self.close(bot)
        if bot.state.phase in OVER:
            bot.state = ConnectionState(generation=bot.state.generation, budgeted=True)
        self.settle()

    @rule()
    def let_all_go_well(self) -> None:
        """From wherever it is, the whole fleet comes back, or is parked with a cause."""
        for bot in self.bots:
            self.send(bot, SignalKind.START)
            self.send(bot, SignalKind.RESUME)
            self.close(bot)
        self.settle()
        for _ in range(60):
            for bot in self.bots:
                if bot.state.phase is Phase.CONNECTING:
                    self.send(bot, SignalKind.OPENED)
            self.settle()
            if all(bot.state.phase in UP | OVER for bot in self.bots):
                break
            if any(bot.state.phase is Phase.CONNECTING for bot in self.bots):
                continue
            soon = self.next_time()
            assert soon < math.inf, "nothing would ever happen again"
            self.now = max(self.now, soon)
            self.settle()
        else:
            raise AssertionError("somebody is stuck")

    # --- the shell, as simple as it can be

    def send(self, bot: Bot, kind: SignalKind, cause: Cause | None = None, u: float = 1.0) -> None:
        """Send a signal, and do what comes out."""
        if kind is SignalKind.LOST and not bot.alive:
            return
        before = bot.state
        bot.state, actions = step(before, Signal(kind, None, cause), self.reconnect, self.now, u)
        for action in actions:
            if action.kind is ActionKind.OPEN:
                assert kind is SignalKind.GRANTED
                assert not bot.alive, "two attempts at once"
                bot.alive = bot.flying = True
            if action.kind is ActionKind.OPENED:
                bot.flying, bot.opened_at = False, self.now
                self.budget.release(bot)
                self.budget.opened(bot, self.now)
                bot.canary = self.budget.breaker.canary is bot
            if action.kind is ActionKind.CLOSE and before.phase in COUNTED:
                self.closing(bot, None if kind is not SignalKind.LOST else cause, u)

    def closing(self, bot: Bot, cause: Cause | None, u: float) -> None:
        """What there is of one ends, now or soon."""
        bot.canary = False
        if bot in self.line:
            self.line.remove(bot)
        self.budget.leave(bot)
        if cause is None:
            self.budget.stopped(bot, self.now)
        else:
            self.budget.failed(bot, self.now, u)

    def close(self, bot: Bot) -> None:
        """What is to be closed is closed."""
        if bot.state.phase not in {Phase.CONNECTING, *UP}:
            bot.alive = bot.flying = False
            self.budget.release(bot)

    def settle(self) -> None:
        """Do what is due by now: retries, the canary's proof, the line."""
        for bot in self.bots:
            retry = bot.state.next_retry_at
            if retry is not None and retry <= self.now:
                self.send(bot, SignalKind.DUE)
            if bot.canary and self.now >= self.proof(bot):
                bot.canary = False
                was_open = self.budget.breaker.phase is not BreakerPhase.CLOSED
                self.budget.lasted(bot, self.now)
                for other in self.bots if was_open else ():
                    self.send(other, SignalKind.CLEARED)
        for bot in self.bots:
            queued = bot.state.phase is Phase.QUEUED and not bot.alive
            if queued and self.budget.join(bot, self.now):
                self.line.append(bot)
        while self.budget.head is not None and self.budget.next_slot(self.now) <= self.now:
            self.grant()

    def grant(self) -> None:
        """Let one go, and hold that against the laws."""
        before = self.budget.breaker
        bot = self.budget.grant(self.now)
        assert isinstance(bot, Bot)
        assert bot is self.line.pop(0), "somebody was overtaken"
        if before.phase is not BreakerPhase.CLOSED:
            assert self.now >= before.next_at
            assert self.budget.breaker.canary is bot
        self.granted.append(self.now)
        self.send(bot, SignalKind.GRANTED)
        assert bot.state.phase is Phase.CONNECTING

    def proof(self, bot: Bot) -> float:
        """Return when a canary's connection has lasted."""
        assert self.policy.breaker is not None
        return bot.opened_at + self.policy.breaker.stable_after

    def next_time(self) -> float:
        """Return when something will happen by itself; infinity for never."""
        times = [b.state.next_retry_at for b in self.bots if b.state.next_retry_at is not None]
        times += [self.proof(bot) for bot in self.bots if bot.canary]
        if self.budget.waiting:
            times.append(self.budget.next_slot(self.now))
        return min(times, default=math.inf)

    # --- the laws

    @invariant()
    def never_over_the_rate_and_the_burst(self) -> None:
        """In no stretch of time that ends now."""
        rate, burst = self.policy.attempts_per_second, self.policy.burst
        for count, at in enumerate(reversed(self.granted[-50:]), 1):
            assert count <= burst + rate * (self.now - at) + 1e-6

    @invariant()
    def never_over_the_day(self) -> None:
        """In the 24 hours that end now."""
        limit = self.policy.attempts_per_day
        if limit is not None:
            assert sum(self.now - at < DAY for at in self.granted) <= limit

    @invariant()
    def never_over_the_attempts_in_flight(self) -> None:
        """And the budget counts those that are there."""
        flying = sum(bot.flying for bot in self.bots)
        assert flying == self.budget.in_flight
        assert flying <= (self.policy.in_flight or math.inf)

    @invariant()
    def everyone_who_waits_is_in_the_line_once(self) -> None:
        """In the order of coming, and nobody else is there."""
        assert self.budget.waiting == len(self.line)
        assert [self.budget.place(bot) for bot in self.line] == list(range(1, len(self.line) + 1))
        assert all(bot.state.phase is Phase.QUEUED for bot in self.line)

    @invariant()
    def nobody_waits_without_reason(self) -> None:
        """Where somebody waits, there is no room now."""
        if self.line:
            assert self.budget.next_slot(self.now) > self.now

    @invariant()
    def a_canary_is_on_its_way(self) -> None:
        """The others never wait for one that has ended."""
        canary = self.budget.breaker.canary
        if canary is not None:
            assert isinstance(canary, Bot)
            assert canary.state.phase in {Phase.CONNECTING, *UP}

    def teardown(self) -> None:
        """It is never stuck, wherever the play ends."""
        if hasattr(self, "bots"):
            self.let_all_go_well()


TestBudgetMachine = BudgetMachine.TestCase
TestBudgetMachine.settings = settings(max_examples=80, stateful_step_count=40)
