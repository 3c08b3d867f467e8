"""What the page does while things happen, and when it hears no more of them."""

from __future__ import annotations

import trio
from playwright.sync_api import Page, expect

from trio_instances import BudgetPolicy, ConnectionBudget

from ...instance.scripted import HANGS, fatal, lost
from .browsers import PHONE, Browser, chip, row, rows
from .sites import site


async def test_what_happens_shows_without_a_reload(browser: Browser) -> None:
    """A lost connection changes the row, the counts, and says when the next attempt comes."""
    async with site(browser) as here:
        channel = await here.start("bot", 0.0, *[lost("http_503")] * 9)
        await here.visit()
        await here.do(lambda page: expect(row(page, "bot")).to_contain_text("connected"))

        channel.reader.end(lost("reset"))

        def look(page: Page) -> None:
            expect(row(page, "bot")).to_contain_text("reconnecting")
            expect(row(page, "bot")).to_contain_text("http_503")
            expect(page.locator("#sum")).to_have_text("1 instance, 0 connected")
            expect(row(page, "bot").locator(".c-next")).to_contain_text("in ")

        await here.do(look)
        loads = [url for url in here.tab.requests if url.endswith("/")]
        assert len(loads) == 1


async def test_only_what_events_name_is_read_again(browser: Browser) -> None:
    """The whole list is asked for once; after that, those that something happened to."""
    async with site(browser) as here:
        channel = await here.start("bot")
        await here.start("quiet")
        await here.visit()
        channel.reader.end(lost())
        await here.do(lambda page: expect(row(page, "bot")).to_contain_text("reconnecting"))

        lists = [url for url in here.tab.requests if "/instances?" in url]
        assert len([url for url in lists if "id=" not in url.replace("instance_id", "")]) == 1


async def test_instances_come_and_go(browser: Browser) -> None:
    """One that is started gets a row, and one that is stopped loses it."""
    async with site(browser) as here:
        await here.start("old")
        await here.visit()

        await here.start("new")
        await here.do(lambda page: expect(row(page, "new")).to_contain_text("connected"))
        await here.runtime.stop_instance("old")
        await here.do(lambda page: expect(rows(page)).to_have_count(1))


async def test_attempts_stand_against_the_rate_of_their_budget(browser: Browser) -> None:
    """A budget shows its rate, what was granted, who waits, and its breaker."""
    budget = ConnectionBudget("provider", BudgetPolicy(attempts_per_second=0.2))
    async with site(browser) as here:
        for name in ("first", "second", "third"):
            await here.start(name, budget=budget)
        await here.visit()

        def look(page: Page) -> None:
            budgets = page.locator("#budgets")
            expect(budgets).to_contain_text("provider")
            expect(budgets).to_contain_text("of 0.2 a second")
            expect(budgets).to_contain_text("2 waiting")
            expect(budgets).to_contain_text("1 granted")
            expect(budgets).to_contain_text("breaker closed")

        await here.do(look)


async def test_an_open_breaker_is_told(browser: Browser) -> None:
    """A budget whose breaker is open says that its instances wait."""
    budget = ConnectionBudget("provider", BudgetPolicy(attempts_per_second=50.0, burst=10))
    async with site(browser) as here:
        for number in range(6):
            await here.start(f"bot-{number}", *[lost()] * 20, budget=budget)
        await here.visit()

        await here.do(lambda page: expect(page.locator("#budgets")).to_contain_text("breaker open"))


async def test_the_fullest_queue_is_named(browser: Browser) -> None:
    """Pressure shows the worst queue of all, and leads to its instance."""
    async with site(browser) as here:
        await here.start("calm")
        await here.start("full")
        queue, _receive = trio.open_memory_channel[int](10)
        here.runtime.instance("full").watch_queue("inbox", queue)
        for number in range(9):
            queue.send_nowait(number)
        await here.visit()

        def look(page: Page) -> None:
            expect(page.locator("#pressure")).to_contain_text("inbox of full: 90 %")
            expect(row(page, "full")).to_contain_text("90 %")
            page.get_by_role("button", name="inbox of full").click()
            expect(page.locator("#d-id")).to_have_text("full")
            expect(page.locator("#details")).to_contain_text("9 of 10, 90 %")

        await here.do(look)


async def test_a_lost_connection_is_told_and_made_again(browser: Browser) -> None:
    """Whoever looks at old news is told so, and how old it is; what was missed is caught up."""
    async with site(browser) as here:
        channel = await here.start("bot", 0.0, HANGS)
        await here.visit()
        here.relay.cut()

        def see_loss(page: Page) -> None:
            expect(page.locator("#banner")).to_contain_text(
                "The connection to the endpoint is lost."
            )
            expect(page.locator("#banner")).to_contain_text("Last heard")
            expect(page.locator("#live")).to_have_text("Not live")
            expect(page.locator("body")).to_have_attribute("data-live", "lost")

        await here.do(see_loss)
        channel.reader.end(lost("reset"))
        here.relay.mend()

        def see_return(page: Page) -> None:
            expect(page.locator("#live")).to_have_text("Live")
            expect(page.locator("#banner")).to_be_hidden()
            expect(row(page, "bot")).to_contain_text("reconnecting")
            expect(page.locator("#notice")).to_be_hidden()

        await here.do(see_return)
        resumed = [url for url in here.tab.requests if "/instances?" in url and "&id=" not in url]
        assert len([url for url in resumed if not url.endswith("id=")]) == 1, "it went on"


async def test_how_long_ago_it_was_heard_grows(browser: Browser) -> None:
    """The time since the last sign of life is counted, also across tries in vain."""
    async with site(browser) as here:
        await here.visit()
        here.relay.cut()

        await here.do(
            lambda page: expect(page.locator("#banner")).to_contain_text("Last heard 3 s ago")
        )


async def test_times_stand_still_while_nothing_is_known(browser: Browser) -> None:
    """Of an instance that nobody hears of, nobody knows that it is still connected."""
    async with site(browser) as here:
        await here.start("bot")
        await here.visit()
        here.relay.cut()
        await here.do(lambda page: expect(page.locator("#live")).to_have_text("Not live"))

        before = await here.do(lambda page: row(page, "bot").locator(".c-for").inner_text())
        await here.do(lambda page: page.wait_for_timeout(1500))
        after = await here.do(lambda page: row(page, "bot").locator(".c-for").inner_text())

        assert before == after


async def test_silence_is_told_although_nothing_has_failed(browser: Browser) -> None:
    """A stream that is open, and says nothing for longer than it ever should, is not live."""
    async with site(browser) as here:
        await here.do(lambda page: page.clock.install())
        await here.visit()
        await here.do(lambda page: page.clock.fast_forward(9000))

        await here.do(
            lambda page: expect(page.locator("#banner")).to_contain_text("Nothing is heard")
        )
        await here.do(lambda page: expect(page.locator("#live")).to_have_text("Live"))


async def test_a_stopped_endpoint_says_goodbye(browser: Browser) -> None:
    """An endpoint that stops in good order is not called lost; another one is found again."""
    async with site(browser) as here:
        await here.start("bot")
        await here.visit()
        port = here.relay.port
        await here.end()

        def see_end(page: Page) -> None:
            expect(page.locator("#banner")).to_contain_text("The endpoint has stopped.")
            expect(page.locator("#live")).to_have_text("Stopped")

        await here.do(see_end)
        await here.start("new")
        await here.serve(port=port)

        def see_return(page: Page) -> None:
            expect(page.locator("#live")).to_have_text("Live")
            expect(row(page, "new")).to_contain_text("connected")
            expect(page.locator("#notice")).to_contain_text("of another run")

        await here.do(see_return)


async def test_after_a_gap_everything_is_read_anew(browser: Browser) -> None:
    """Whoever was away for longer than events are kept misses no change, and is told."""
    async with site(browser, replay=3) as here:
        channel = await here.start("bot", 0.0, HANGS)
        await here.visit("#instance=bot")
        here.relay.cut()
        await here.do(lambda page: expect(page.locator("#live")).to_have_text("Not live"))
        channel.reader.end(lost("reset"))
        for number in range(5):
            await here.start(f"new-{number}")
        here.relay.mend()

        def look(page: Page) -> None:
            expect(page.locator("#notice")).to_contain_text("missed: the reader was too slow")
            expect(rows(page)).to_have_count(6)
            expect(row(page, "bot")).to_contain_text("reconnecting")
            expect(page.locator("#details .status")).to_contain_text("reconnecting")
            page.get_by_role("button", name="Close this notice").click()
            expect(page.locator("#notice")).to_be_hidden()

        await here.do(look)


async def test_a_storm_of_events_is_a_few_questions(browser: Browser) -> None:
    """Hundreds of events lead to a handful of requests, and every row is right in the end."""
    async with site(browser) as here:
        channels = [await here.start(f"bot-{number}", 0.0, HANGS) for number in range(150)]
        await here.visit()
        before = len(here.tab.requests)
        for channel in channels:
            channel.reader.end(lost())
        await here.do(lambda page: expect(chip(page, "reconnecting")).to_contain_text("150"))

        assert len(here.tab.requests) - before < 40


async def test_what_concerns_all_is_shown_beside_the_table(browser: Browser) -> None:
    """What no single row can tell, such as an open breaker, is told as it happens."""
    budget = ConnectionBudget("provider", BudgetPolicy(attempts_per_second=50.0, burst=10))
    async with site(browser) as here:
        channels = [
            await here.start(f"bot-{number}", 0.0, *[lost()] * 20, budget=budget)
            for number in range(6)
        ]
        await here.visit()
        for channel in channels:
            channel.reader.end(lost())

        await here.do(
            lambda page: expect(page.locator("#lately-list")).to_contain_text("breaker.opened")
        )


async def test_what_concerned_all_before_the_page_was_opened_is_there(browser: Browser) -> None:
    """As far as it is kept, each once, also what happens while it is read."""
    async with site(browser) as here:
        await here.start("bad", fatal("no_money"))
        await here.runtime.instance("bad").wait_status("failed")
        await here.visit()
        failures = "#lately-list li:has-text('instance.failed')"
        await here.do(lambda page: expect(page.locator(failures)).to_contain_text("bad: no_money"))
        await here.start("worse", fatal("no_money"))

        await here.do(lambda page: expect(page.locator(failures)).to_have_count(2))


async def test_what_happened_lately_is_there_on_a_phone_too(browser: Browser) -> None:
    """Below the list, where there is no room beside it; an open instance takes its place."""
    async with site(browser, tab={"viewport": PHONE}) as here:
        await here.start("bad", fatal("no_money"))
        await here.runtime.instance("bad").wait_status("failed")
        await here.visit()

        def look(page: Page) -> None:
            expect(page.locator("#lately")).to_be_visible()
            row(page, "bad").click()
            expect(page.locator("#details")).to_be_visible()
            expect(page.locator("#lately")).to_be_hidden()

        await here.do(look)


async def test_a_loss_is_an_alert_and_the_seconds_since_are_none(browser: Browser) -> None:
    """A screen reader says once what has happened, and does not count."""
    async with site(browser) as here:
        await here.start("bot")
        await here.visit()
        here.relay.cut()

        def look(page: Page) -> None:
            expect(page.get_by_role("alert")).to_have_text(
                "The connection to the endpoint is lost."
            )
            page.evaluate(
                """() => {
                  window.said = 0;
                  const count = new MutationObserver(() => { window.said += 1; });
                  for (const each of document.querySelectorAll("[role=alert], [role=status]"))
                    count.observe(each, {subtree: true, childList: true, characterData: true});
                }"""
            )
            page.wait_for_timeout(2500)
            assert page.evaluate("window.said") == 0

        await here.do(look)
