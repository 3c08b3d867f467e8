"""What the page shows when it is opened."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from ...instance.scripted import HANGS, degraded, fatal, lost
from .browsers import PHONE, Browser, chip, row, rows
from .sites import site


async def test_counts_and_rows_are_those_of_the_fleet(browser: Browser) -> None:
    """Each status is counted, and each instance has a row that tells its status and its cause."""
    async with site(browser) as here:
        await here.start("well")
        await here.start("slow", HANGS)
        await here.start("refused", fatal("banned"))
        await here.start("away", *[lost("http_503")] * 5)
        await here.visit()

        def look(page: Page) -> None:
            expect(page.locator("#sum")).to_have_text("4 instances, 1 connected")
            expect(rows(page)).to_have_count(4)
            expect(chip(page, "connected")).to_contain_text("1")
            expect(chip(page, "failed")).to_contain_text("1")
            expect(row(page, "slow")).to_contain_text("connecting")
            expect(row(page, "refused")).to_contain_text("failed")
            expect(row(page, "refused")).to_contain_text("banned")
            expect(row(page, "refused")).to_contain_text("credentials")
            expect(row(page, "away")).to_contain_text("http_503")

        await here.do(look)


async def test_the_worst_comes_first(browser: Browser) -> None:
    """Nobody has to look for what has failed."""
    async with site(browser) as here:
        await here.start("a-well")
        await here.start("b-refused", fatal())
        await here.visit()

        await here.do(lambda page: expect(rows(page).first).to_contain_text("b-refused"))


async def test_a_runtime_without_instances_says_so(browser: Browser) -> None:
    """An empty table is no riddle."""
    async with site(browser, name="quiet") as here:
        await here.visit()

        def look(page: Page) -> None:
            expect(page.locator("#runtime")).to_have_text("quiet")
            expect(page).to_have_title("quiet · operations")
            expect(page.locator("#empty")).to_have_text("There is no instance yet.")

        await here.do(look)


async def test_who_must_act_is_counted(browser: Browser) -> None:
    """What nobody can mend but a person stands apart, by person."""
    async with site(browser) as here:
        await here.start("one", fatal(who="credentials"))
        await here.start("two", fatal(who="credentials"))
        await here.start("three", fatal(who="configuration"))
        await here.visit()

        def look(page: Page) -> None:
            expect(chip(page, "credentials")).to_contain_text("2")
            expect(chip(page, "configuration")).to_contain_text("1")
            expect(page.locator("#who-none")).to_have_text("3 instances need attention.")

        await here.do(look)


async def test_why_an_instance_is_degraded_is_told_by_its_reasons(browser: Browser) -> None:
    """A degraded instance tells what is degraded, and why."""
    async with site(browser) as here:
        channel = await here.start("bot")
        await here.visit()
        channel.reader.end(degraded("no_history"))

        await here.do(
            lambda page: expect(row(page, "bot")).to_contain_text("child:reader: no_history")
        )


async def test_it_is_readable_in_light_and_in_dark(browser: Browser) -> None:
    """The text stands out from its ground by the 4.5 to 1 that WCAG asks for, in both schemes."""
    grounds = set()
    for scheme in ("light", "dark"):
        async with site(browser, tab={"color_scheme": scheme}) as here:
            await here.start("refused", fatal())
            await here.start("well")
            await here.visit("#instance=refused")
            await here.do(lambda page: page.wait_for_selector(".cause"))

            contrasts = await here.do(lambda page: page.evaluate(CONTRASTS))
            grounds.add(await here.do(lambda page: page.evaluate(GROUND)))

            assert min(contrasts.values()) >= 4.5, (scheme, contrasts)
    assert len(grounds) == 2


GROUND = "getComputedStyle(document.body).backgroundColor"
CONTRASTS = """() => {
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = {};
  const texts = "h1, h2, h3, p, b, td, button, code, dt, dd, time, .level, footer span";
  for (const node of document.querySelectorAll(texts)) {
    if (!node.offsetParent || !node.textContent.trim() || node.disabled) continue;
    const [a, b] = [light(numbers(getComputedStyle(node).color)), light(ground(node))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    found[`${node.tagName}.${node.className} ${node.textContent.slice(0, 20)}`] = contrast;
  }
  return found;
}"""


async def test_no_status_is_told_by_colour_alone(browser: Browser) -> None:
    """Beside each coloured mark stands the word, and the marks have shapes of their own."""
    async with site(browser) as here:
        await here.start("well")
        await here.start("refused", fatal())
        await here.visit()

        def shape(page: Page, name: str) -> str | None:
            return row(page, name).locator("use").get_attribute("href")

        assert await here.do(lambda page: shape(page, "well")) == "#m-connected"
        assert await here.do(lambda page: shape(page, "refused")) == "#m-failed"


async def test_a_phone_shows_it_without_scrolling_sideways(browser: Browser) -> None:
    """Nothing is wider than a narrow screen, neither the fleet nor one instance."""
    too_wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    async with site(browser, tab={"viewport": PHONE}) as here:
        await here.start("an-id-that-is-quite-long-for-the-screen-of-a-phone-" + "x" * 60)
        await here.visit()

        assert not await here.do(lambda page: page.evaluate(too_wide))
        await here.do(lambda page: rows(page).first.click())
        await here.do(lambda page: expect(page.locator("#d-id")).to_be_visible())
        await here.do(lambda page: expect(page.locator("#list")).to_be_hidden())
        assert not await here.do(lambda page: page.evaluate(too_wide))
        await here.do(lambda page: page.get_by_role("button", name="Close the instance").click())
        await here.do(lambda page: expect(page.locator("#d-id")).to_be_hidden())


async def test_nothing_but_the_endpoint_is_asked(browser: Browser) -> None:
    """The page is one file: everything else that is asked for is data, and no icon is missed."""
    async with site(browser) as here:
        await here.visit()

        paths = {url.removeprefix(here.relay.url).partition("?")[0] for url in here.tab.requests}
        assert {path for path in paths if not path.startswith("data:")} <= {
            "/", "/instances", "/lately", "/events"
        }  # fmt: skip
