"""Acting on an instance: the token, the question before a restart, and the answers."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from ...instance.scripted import HANGS, fatal
from .browsers import PHONE, Browser
from .sites import TOKEN, site

KEPT = "[sessionStorage.length, localStorage.length, document.cookie]"


def press(page: Page, verb: str) -> None:
    """Press the button of a verb."""
    page.get_by_role("button", name=verb, exact=True).click()


def give(page: Page, token: str) -> None:
    """Answer the question for the token."""
    expect(page.locator("#ask-token")).to_be_visible()
    page.locator("#token").fill(token)
    page.get_by_role("button", name="Use it").click()


async def test_the_token_is_asked_for_once(browser: Browser) -> None:
    """The first verb needs it; those after it, also after a reload, do not."""
    async with site(browser) as here:
        await here.start("bot")
        await here.visit("#instance=bot")

        def pause(page: Page) -> None:
            press(page, "Pause")
            give(page, TOKEN)
            expect(page.locator(".answer")).to_contain_text("the endpoint has accepted it")
            expect(page.locator("#details .status")).to_contain_text("Paused by an operator")
            assert page.evaluate(KEPT) == [1, 0, ""]
            page.reload()
            expect(page.locator("#details .status")).to_contain_text("Paused by an operator")
            press(page, "Resume")
            expect(page.locator("#details .status")).to_contain_text("Connected for")
            expect(page.locator("#ask-token")).to_be_hidden()

        await here.do(pause)


async def test_without_a_token_nothing_is_done(browser: Browser) -> None:
    """Whoever gives none has changed nothing, and is told so."""
    async with site(browser) as here:
        channel = await here.start("bot")
        await here.visit("#instance=bot")

        def look(page: Page) -> None:
            press(page, "Reconnect")
            page.keyboard.press("Escape")
            expect(page.locator(".answer")).to_have_text("Nothing was done: no token was given.")
            expect(page.locator("#d-id")).to_be_visible()

        await here.do(look)
        assert len(channel.attempts) == 1


async def test_a_wrong_token_is_refused_and_forgotten(browser: Browser) -> None:
    """The next press asks again."""
    async with site(browser) as here:
        channel = await here.start("bot")
        await here.visit("#instance=bot")

        def look(page: Page) -> None:
            press(page, "Reconnect")
            give(page, "not-the-token-at-all")
            expect(page.locator(".answer")).to_contain_text("That was not the endpoint's token")
            assert page.evaluate(KEPT) == [0, 0, ""]
            press(page, "Reconnect")
            give(page, TOKEN)
            expect(page.locator(".answer")).to_contain_text("has accepted it")

        await here.do(look)
        assert len(channel.attempts) >= 1


async def test_an_endpoint_without_a_token_explains_that_nobody_can_act(browser: Browser) -> None:
    """There are no buttons that could only be refused."""
    async with site(browser, token=None) as here:
        await here.start("bot")
        await here.visit("#instance=bot")

        def look(page: Page) -> None:
            expect(page.locator("#details")).to_contain_text("started without a token")
            expect(page.locator("#access")).to_contain_text("look only")
            expect(page.locator("[data-verb]")).to_have_count(0)

        await here.do(look)


async def test_a_restart_is_confirmed(browser: Browser) -> None:
    """It ends what runs, so it needs a second word."""
    async with site(browser) as here:
        channel = await here.start("bot")
        await here.visit("#instance=bot")

        def hesitate(page: Page) -> None:
            press(page, "Restart")
            expect(page.locator("#confirm")).to_contain_text("Restart bot?")
            page.get_by_role("button", name="Cancel").click()
            expect(page.locator("#ask-token")).to_be_hidden()

        await here.do(hesitate)
        assert len(channel.attempts) == 1

        def confirm(page: Page) -> None:
            press(page, "Restart")
            page.get_by_role("button", name="Restart it").click()
            give(page, TOKEN)
            expect(page.locator("#details .timeline")).to_contain_text("instance.stopped")
            expect(page.locator("#details .status")).to_contain_text("Connected for")

        await here.do(confirm)
        assert len(channel.attempts) == 2


async def test_too_many_verbs_are_told_when_to_try_again(browser: Browser) -> None:
    """The endpoint's refusal is shown in its own words."""
    async with site(browser) as here:
        await here.start("bot", HANGS)
        await here.visit("#instance=bot")

        def look(page: Page) -> list[str]:
            page.evaluate("token => sessionStorage.setItem('trio-instances-token', token)", TOKEN)
            answers: list[str] = page.evaluate(
                "Promise.all([...Array(60)].map(() => act('bot', 'pause')))"
            )
            return answers

        answers = await here.do(look)

        assert any("too many verbs: try again in" in answer for answer in answers)


async def test_a_verb_that_reaches_nobody_is_not_called_done(browser: Browser) -> None:
    """While the connection is lost, nobody knows."""
    async with site(browser) as here:
        await here.start("bot")
        await here.visit("#instance=bot")

        def look(page: Page) -> None:
            page.evaluate("token => sessionStorage.setItem('trio-instances-token', token)", TOKEN)
            press(page, "Pause")
            expect(page.locator(".answer")).to_contain_text("so it may not have been done")

        here.relay.cut()
        await here.do(look)


async def test_reading_that_needs_the_token_asks_for_it(browser: Browser) -> None:
    """On another address than loopback the page shows nothing until the token is given."""
    async with site(browser, host="0.0.0.0", tab={"viewport": PHONE}) as here:  # noqa: S104
        await here.start("bot")

        def look(page: Page) -> None:
            page.goto(here.relay.url)
            expect(page.locator("#ask-token")).to_contain_text("shows itself only to those")
            give(page, "not-the-token-at-all")
            expect(page.locator("#ask-token-why")).to_contain_text(
                "That was not the endpoint's token."
            )
            give(page, TOKEN)
            expect(page.locator("#live")).to_have_text("Live")
            expect(page.locator("#sum")).to_have_text("1 instance, 1 connected")

        await here.do(look)


async def test_who_gives_no_token_is_left_in_peace(browser: Browser) -> None:
    """The question is not put again by itself; a button puts it."""
    async with site(browser, host="0.0.0.0") as here:  # noqa: S104

        def look(page: Page) -> int:
            page.goto(here.relay.url)
            expect(page.locator("#ask-token")).to_be_visible()
            page.keyboard.press("Escape")
            expect(page.locator("#banner")).to_contain_text("shows nothing without its token")
            expect(page.locator("#empty")).to_be_hidden()  # nobody knows whether there is one
            expect(page.locator("#lately-none")).to_be_hidden()
            return len(here.tab.requests)

        before = await here.do(look)
        await here.do(lambda page: page.wait_for_timeout(1500))
        assert len(here.tab.requests) == before

        def give_it(page: Page) -> None:
            expect(page.locator("#ask-token")).to_be_hidden()
            press(page, "Give a token")
            give(page, TOKEN)
            expect(page.locator("#live")).to_have_text("Live")
            expect(page.locator("#banner")).to_be_hidden()

        await here.do(give_it)


async def test_a_verb_that_changes_nothing_is_not_called_accepted(browser: Browser) -> None:
    """What would do something is said."""
    async with site(browser) as here:
        await here.start("bot", fatal("no_money"))
        await here.runtime.instance("bot").wait_status("failed")
        await here.visit("#instance=bot")

        def look(page: Page) -> None:
            page.evaluate("token => sessionStorage.setItem('trio-instances-token', token)", TOKEN)
            press(page, "Retry now")
            expect(page.locator(".answer")).to_contain_text("nothing to do, as it has failed")
            expect(page.locator(".answer")).to_contain_text("restart wakes it")

        await here.do(look)
