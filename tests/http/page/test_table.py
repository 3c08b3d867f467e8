"""The table: filters, order, keys, the address, and ten thousand rows."""

from __future__ import annotations

from typing import ClassVar

from playwright.sync_api import Page, expect

from trio_instances import BudgetPolicy, ConnectionBudget
from trio_instances.policy.status import InstanceStatus

from ...instance.scripted import HANGS, ScriptedChannel, fatal
from .browsers import Browser, chip, ids, row, rows
from .sites import Site, site


class OtherChannel(ScriptedChannel):
    """A channel of another type."""

    channel_type: ClassVar[str] = "other"


async def _fleet(here: Site, view: str = "") -> None:
    await here.start("anna")
    await here.start("bert", fatal("banned"))
    await here.start("carl", HANGS)
    await here.start("dora", channel=OtherChannel())
    await here.visit(view)
    await here.do(lambda page: expect(rows(page)).to_have_count(4 if not view else 1))


async def test_a_click_on_a_status_shows_only_that(browser: Browser) -> None:
    """The counts are filters; a second click takes the filter away."""
    async with site(browser) as here:
        await _fleet(here)

        def look(page: Page) -> None:
            chip(page, "failed").click()
            expect(rows(page)).to_have_count(1)
            expect(chip(page, "failed")).to_have_attribute("aria-pressed", "true")
            expect(page.locator("#shown")).to_have_text("1 of 4 instances")
            chip(page, "connecting").click()
            expect(rows(page)).to_have_count(2)
            chip(page, "failed").click()
            chip(page, "connecting").click()
            expect(rows(page)).to_have_count(4)

        await here.do(look)


async def test_type_text_and_who_must_act_are_filters_too(browser: Browser) -> None:
    """A text is looked for in ids and causes, whatever its case."""
    async with site(browser) as here:
        await _fleet(here)

        def look(page: Page) -> None:
            page.select_option("#type", "other")
            expect(rows(page)).to_have_count(1)
            assert ids(page) == ["dora"]
            page.select_option("#type", "")
            page.fill("#q", "BANNED")
            expect(rows(page)).to_have_count(1)
            assert ids(page) == ["bert"]
            page.fill("#q", "nobody is called so")
            expect(page.locator("#empty")).to_have_text("No instance fits these filters.")
            page.get_by_role("button", name="Clear filters").click()
            expect(rows(page)).to_have_count(4)
            chip(page, "credentials").click()
            expect(rows(page)).to_have_count(1)
            assert ids(page) == ["bert"]

        await here.do(look)


async def test_every_column_sorts_both_ways(browser: Browser) -> None:
    """A click on a head sorts by it, a second one the other way; the head says so."""
    async with site(browser, tab={"viewport": {"width": 2000, "height": 700}}) as here:
        await _fleet(here)

        def look(page: Page) -> None:
            head = page.locator("th[data-key=id]")
            head.get_by_role("button").click()
            expect(head).to_have_attribute("aria-sort", "ascending")
            expect(rows(page).first).to_contain_text("anna")
            head.get_by_role("button").click()
            expect(head).to_have_attribute("aria-sort", "descending")
            expect(rows(page).first).to_contain_text("dora")
            for other in page.locator("th[data-key]").all():
                other.get_by_role("button").click()
                expect(other).to_have_attribute("aria-sort", "ascending")
                assert sorted(ids(page)) == ["anna", "bert", "carl", "dora"]

        await here.do(look)


async def test_the_address_keeps_filters_order_and_choice(browser: Browser) -> None:
    """Whoever opens a copied address sees the same."""
    view = "#instance=anna&status=connected&type=scripted&q=ann&sort=-id"
    async with site(browser) as here:
        await _fleet(here, view)

        def look(page: Page) -> str:
            assert ids(page) == ["anna"]
            expect(page.locator("#d-id")).to_have_text("anna")
            expect(page.locator("#q")).to_have_value("ann")
            expect(chip(page, "connected")).to_have_attribute("aria-pressed", "true")
            expect(page.locator("th[data-key=id]")).to_have_attribute("aria-sort", "descending")
            page.get_by_role("button", name="Clear filters").click()
            page.get_by_role("button", name="Close the instance").click()
            expect(rows(page)).to_have_count(4)
            return page.url.partition("#")[2]

        assert await here.do(look) == "sort=-id"


async def test_an_address_of_nonsense_shows_everything(browser: Browser) -> None:
    """What an address asks for and nobody knows is no reason to show nothing, or to fail."""
    async with site(browser) as here:
        await here.start("anna")
        await here.visit("#status=great,__proto__&sort=-constructor&who=everybody&%zz")

        await here.do(lambda page: expect(rows(page)).to_have_count(1))


async def test_going_back_closes_what_was_opened(browser: Browser) -> None:
    """Opening an instance is a step that the browser's button undoes."""
    async with site(browser) as here:
        await _fleet(here)

        def look(page: Page) -> None:
            row(page, "anna").click()
            expect(page.locator("#d-id")).to_be_visible()
            page.go_back()
            expect(page.locator("#d-id")).to_be_hidden()
            page.go_forward()
            expect(page.locator("#d-id")).to_have_text("anna")

        await here.do(look)


async def test_everything_can_be_done_by_keys(browser: Browser) -> None:
    """From the filter to the rows, into an instance and back, without a pointer."""
    async with site(browser) as here:
        await _fleet(here)

        def look(page: Page) -> None:
            page.keyboard.press("/")
            expect(page.locator("#q")).to_be_focused()
            page.keyboard.type("r")
            expect(rows(page)).to_have_count(3)  # all but anna
            page.keyboard.press("ArrowDown")
            expect(page.locator("#grid")).to_be_focused()
            first = ids(page)
            page.keyboard.press("ArrowDown")
            expect(row(page, first[1])).to_have_class("cursor")
            chosen = page.locator("#grid").get_attribute("aria-activedescendant")
            expect(row(page, first[1])).to_have_attribute("id", str(chosen))
            page.keyboard.press("End")
            expect(row(page, first[-1])).to_have_class("cursor")
            page.keyboard.press("Home")
            page.keyboard.press("Enter")
            expect(page.locator("#d-id")).to_have_text(first[0])
            expect(page.locator("#d-id")).to_be_focused()
            page.keyboard.press("Escape")
            expect(page.locator("#d-id")).to_be_hidden()
            expect(page.locator("#grid")).to_be_focused()
            page.keyboard.press("Escape")
            expect(page.locator("#q")).to_have_value("")
            expect(rows(page)).to_have_count(4)

        await here.do(look)


async def test_what_has_the_focus_can_be_seen(browser: Browser) -> None:
    """Whatever the tabulator key comes to has an outline."""
    async with site(browser) as here:
        await _fleet(here)

        def look(page: Page) -> list[str]:
            found = []
            for _ in range(15):
                page.keyboard.press("Tab")
                found.append(page.evaluate(FOCUSED))
            return found

        outlines = await here.do(look)

        assert set(outlines) == {"solid 2px"}


FOCUSED = """() => {
  const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
  return `${outlineStyle} ${outlineWidth}`;
}"""


async def test_the_table_tells_assistive_technology_what_it_is(browser: Browser) -> None:
    """A grid with as many rows as there are instances, of which each present one has its number."""
    async with site(browser) as here:
        await _fleet(here)

        def look(page: Page) -> None:
            grid = page.get_by_role("grid", name="Instances")
            expect(grid).to_have_attribute("aria-rowcount", "5")
            expect(rows(page).nth(2)).to_have_attribute("aria-rowindex", "4")
            expect(page.get_by_role("columnheader", name="Status")).to_be_visible()
            row(page, "carl").click()
            expect(row(page, "carl")).to_have_attribute("aria-selected", "true")

        await here.do(look)


async def test_the_page_knows_every_status(browser: Browser) -> None:
    """None is missing in its order, and each has a mark."""
    async with site(browser) as here:
        await here.visit()

        statuses = await here.do(lambda page: page.evaluate("STATUSES"))
        marks = await here.do(
            lambda page: page.evaluate("STATUSES.every((s) => document.getElementById(`m-${s}`))")
        )

        assert sorted(statuses) == sorted(str(status) for status in InstanceStatus)
        assert marks


async def test_ten_thousand_rows_cost_what_can_be_seen(browser: Browser) -> None:
    """However many there are, and wherever one is, the document holds a screenful of rows."""
    async with site(browser) as here:
        await here.visit()
        await here.do(lambda page: page.evaluate(TEN_THOUSAND))

        def look(page: Page) -> list[int]:
            expect(page.locator("#shown")).to_have_text("10,000 instances")
            counts = []
            for share in (0, 0.3, 1):
                page.evaluate(
                    "s => { const p = $('pane'); p.scrollTop = p.scrollHeight * s; }", share
                )
                page.wait_for_timeout(100)
                counts.append(page.locator("#rows tr").count())
            expect(row(page, "bot-9999")).to_be_visible()
            page.fill("#q", "bot-123")
            expect(rows(page)).to_have_count(10)
            return counts

        counts = await here.do(look)

        assert max(counts) <= 760 / 28 + 16 + 2, counts


TEN_THOUSAND = """() => {
  const empty = { verdict: null, latency: null, streak: 0 };
  for (let i = 0; i < 10000; i += 1) {
    const id = `bot-${String(i).padStart(4, "0")}`;
    fleet.rows.set(id, makeRow({
      instance_id: id, name: id, channel_type: "scripted", status: "connected", since: 0,
      connected: true, proven: true, attempt: 1, next_retry_at: null, restarts: 0,
      who_must_act: "nobody", needs_attention: false, pressure: "normal", queues: [], cause: null,
      degraded: [], probe: { ...empty }, silent: [],
    }));
  }
  rowsChanged();
}"""
"""So many of a runtime's own would be most of the test's time; `benchmarks` are for that."""


async def test_ids_are_sorted_as_people_count(browser: Browser) -> None:
    """bot-2 before bot-10."""
    async with site(browser) as here:
        for number in (10, 1, 2, 100):
            await here.start(f"bot-{number}")
        await here.visit("#sort=id")
        await here.do(lambda page: expect(rows(page)).to_have_count(4))

        assert await here.do(ids) == ["bot-1", "bot-2", "bot-10", "bot-100"]


async def test_who_stands_in_the_line_of_a_budget_is_told_where(browser: Browser) -> None:
    """There is neither a cause nor a time for it."""
    budget = ConnectionBudget("provider", BudgetPolicy(attempts_per_second=0.001, burst=1))
    async with site(browser) as here:
        for number in range(3):
            await here.start(f"bot-{number}", budget=budget)
        await here.visit()

        def look(page: Page) -> None:
            expect(row(page, "bot-2").locator(".c-next")).to_have_text("line 2")
            expect(row(page, "bot-2").locator(".c-why")).to_contain_text(
                "in the line of budget provider"
            )

        await here.do(look)
