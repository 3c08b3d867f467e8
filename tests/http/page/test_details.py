"""One instance: how it stands, what is next, its tree, its events, its probes."""

from __future__ import annotations

import re

import trio
from playwright.sync_api import Page, expect

from trio_instances import (
    Backoff,
    BudgetPolicy,
    ChildSpec,
    ConnectionBudget,
    ProbePolicy,
    ReconnectPolicy,
)

from ...instance.scripted import HANGS, always, degraded, fatal, lost
from .browsers import Browser, row
from .sites import site


async def test_the_next_attempt_counts_down(browser: Browser) -> None:
    """It is said which attempt comes next and when; the time runs without any event."""
    async with site(browser) as here:
        once = ReconnectPolicy(attempts=1, slow=Backoff(initial=60.0, cap=60.0, jitter="none"))
        await here.start("bot", *[lost("http_503")] * 9, reconnect=once)
        await here.visit("#instance=bot")

        def left(page: Page) -> float:
            text = page.locator("#details .next").inner_text()
            return float(re.search(r"([\d.]+) s", text)[1])  # type: ignore[index]  # no match is a failure of the test

        def look(page: Page) -> None:
            expect(page.locator("#details .next")).to_contain_text("Attempt 2 begins in 5")
            first = left(page)
            page.wait_for_timeout(2000)
            assert first - 4 <= left(page) < first

        await here.do(look)


async def test_the_cause_is_told_in_words(browser: Browser) -> None:
    """The reason, the error's text, what its class means, and who must act."""
    async with site(browser) as here:
        await here.start("bot", fatal("banned"))
        await here.visit("#instance=bot")

        def look(page: Page) -> None:
            details = page.locator("#details")
            expect(details.locator(".status")).to_contain_text("does not try again by itself")
            expect(details.locator(".cause")).to_contain_text("banned")
            expect(details.locator(".cause")).to_contain_text("fatal: no retry can mend it")
            expect(details.locator(".act")).to_contain_text("renew them, then restart it")

        await here.do(look)


async def test_the_place_in_the_line_is_told(browser: Browser) -> None:
    """One that waits for its turn in a budget has no time, but a place."""
    budget = ConnectionBudget("provider", BudgetPolicy(attempts_per_second=0.01))
    async with site(browser) as here:
        for name in ("first", "second", "third"):
            await here.start(name, budget=budget)
        await here.visit("#instance=third")

        await here.do(
            lambda page: expect(page.locator("#details .next")).to_have_text(
                "Attempt 1 is due, and is number 2 in the line of budget provider."
            )
        )


async def test_the_tree_tells_states_restarts_and_where_each_child_waits(browser: Browser) -> None:
    """Each child has its state, its runs, its last failure, and the line that it waits at."""
    async with site(browser) as here:
        channel = await here.start("bot")
        channel.give_own = always(ChildSpec("keeper", trio.sleep_forever))
        await here.visit("#instance=bot")
        channel.reader.end(ValueError("odd"))

        def look(page: Page) -> None:
            reader = page.locator(".tree li", has=page.locator("b", has_text="reader")).last
            expect(reader).to_contain_text("running")
            expect(reader).to_contain_text("restarted 1\u00d7")
            expect(reader).to_contain_text("await end.wait()")
            expect(reader).to_contain_text("ValueError: odd")
            expect(page.locator(".tree")).to_contain_text("one_for_one, at most 5 restarts in 30 s")

        await here.do(look)


async def test_the_events_are_told_newest_first_and_each_once(browser: Browser) -> None:
    """What was kept and what comes now make one list."""
    async with site(browser) as here:
        channel = await here.start("bot")
        await here.visit("#instance=bot")
        events = "#details .timeline li"
        await here.do(
            lambda page: expect(page.locator(events, has_text="instance.connected")).to_have_count(
                1
            )
        )
        channel.reader.end(lost("reset"))

        def look(page: Page) -> None:
            expect(page.locator(events, has_text="instance.connected")).to_have_count(2)
            expect(page.locator(events, has_text="instance.disconnected")).to_have_count(1)
            expect(page.locator(events, has_text="instance.disconnected")).to_contain_text(
                "warning"
            )
            names = page.locator(f"{events} b").all_inner_texts()
            assert names.index("instance.connected") < names.index("instance.disconnected")
            assert names[-1] == "status.changed"  # the first thing said of it

        await here.do(look)


async def test_an_event_that_is_told_twice_is_shown_once(browser: Browser) -> None:
    """After a lost connection the stream begins where it ended."""
    async with site(browser) as here:
        channel = await here.start("bot", 0.0, HANGS)
        await here.visit("#instance=bot")
        await here.do(
            lambda page: expect(page.locator("#details .timeline")).to_contain_text("connected")
        )
        here.relay.cut()
        await here.do(lambda page: expect(page.locator("#live")).to_have_text("Not live"))
        channel.reader.end(lost("reset"))
        here.relay.mend()

        def look(page: Page) -> None:
            lines = page.locator("#details .timeline li")
            expect(lines.filter(has_text="instance.disconnected")).to_have_count(1)
            expect(lines.filter(has_text="instance.connected")).to_have_count(1)

        await here.do(look)


async def test_an_event_that_the_list_has_already_is_not_added(browser: Browser) -> None:
    """The list of what was kept, and the stream, may overlap."""
    async with site(browser) as here:
        await here.start("bot")
        await here.visit("#instance=bot")

        def look(page: Page) -> None:
            lines = page.locator("#details .timeline li")
            expect(lines.filter(has_text="instance.connected")).to_have_count(1)
            before = lines.count()
            page.evaluate("listener.event(selected.events[0], selected.position)")
            page.wait_for_timeout(600)
            expect(lines).to_have_count(before)

        await here.do(look)


async def test_probes_are_drawn_and_those_that_failed_are_crossed(browser: Browser) -> None:
    """Each probe is a bar; one that has not passed has a cross as well, and is counted."""
    async with site(browser) as here:
        channel = await here.start("bot", probe=ProbePolicy(interval=0.2, failures_to_fail=50))
        await here.visit("#instance=bot")

        def see_good(page: Page) -> None:
            page.wait_for_selector("figure .ok")
            expect(page.locator("figcaption")).to_contain_text("all passed")
            expect(page.locator("figure .cross")).to_have_count(0)

        await here.do(see_good)

        async def fail(_: int) -> None:
            raise degraded("slow")

        channel.ask = fail

        def see_bad(page: Page) -> None:
            page.wait_for_selector("figure .bad")
            expect(page.locator("figcaption")).to_contain_text("not passed (\u00d7)")
            assert page.locator("figure .cross").count() > 0
            expect(page.locator("#details .timeline")).to_contain_text("verdict=degraded")
            expect(page.locator("#details .timeline")).not_to_contain_text("verdict=ok")
            page.get_by_label("with passed probes").check()
            expect(page.locator("#details .timeline")).to_contain_text("verdict=ok")

        await here.do(see_bad)


async def test_silence_of_an_instance_is_told(browser: Browser) -> None:
    """One that is connected, and hears nothing, does not look well."""
    policy = ProbePolicy(interval=50.0, data_silence=0.3)
    async with site(browser) as here:
        await here.start("deaf", probe=policy)
        await here.visit("#instance=deaf")

        def look(page: Page) -> None:
            expect(page.locator("#details .next")).to_contain_text("no application event")
            expect(row(page, "deaf")).to_contain_text("silent for too long")

        await here.do(look)


async def test_an_instance_that_is_gone_says_so(browser: Browser) -> None:
    """What was stopped while it was looked at is not shown as if it went on."""
    async with site(browser) as here:
        await here.start("bot")
        await here.visit("#instance=bot")
        await here.do(
            lambda page: expect(page.locator("#details .status")).to_contain_text("Connected")
        )
        await here.runtime.stop_instance("bot")

        await here.do(
            lambda page: expect(page.locator("#details .status")).to_have_text(
                "There is no such instance any more."
            )
        )


async def test_an_address_of_an_instance_that_never_was_says_so(browser: Browser) -> None:
    """A copied address may be older than the fleet."""
    async with site(browser) as here:
        await here.visit("#instance=nobody")

        await here.do(
            lambda page: expect(page.locator("#details .status")).to_have_text(
                "There is no such instance any more."
            )
        )
