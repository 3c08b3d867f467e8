"""Ids, names and causes come from outside. On the page they are text, and nothing else."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from ...instance.scripted import fatal
from .browsers import Browser, rows
from .sites import TOKEN, site

BAD = [
    "<img src=x onerror=document.title='taken'>",
    "</script><script>document.title='taken'<\\script>",
    "\"><svg onload=document.title='taken'>",
    "{{about}}",
    "a'b\"c&amp;d%2e%00#?=+;",
    "\u05d0\u05d1 \U0001f642 \u0646\u0635",  # from right to left, and beyond 16 bits
]


def name_of(text: str) -> str:
    """Return a text as an id can have it."""
    return "".join(char for char in text.replace("/", "\\") if char.isprintable())


@pytest.mark.parametrize("text", BAD)
async def test_what_comes_from_outside_is_shown_as_text(browser: Browser, text: str) -> None:
    """An id, a name and a cause that are markup are shown as they are, wherever they stand."""
    async with site(browser, name=name_of(text)) as here:
        await here.start(name_of(text), fatal(text), name=text)
        await here.visit()

        def look(page: Page) -> None:
            expect(rows(page)).to_have_count(1)
            cell = rows(page).first.locator(".c-id")
            assert (cell.text_content() or "").startswith(name_of(text))
            rows(page).first.click()
            expect(page.locator("#d-id")).to_have_text(name_of(text))
            assert page.locator(".cause code").text_content() == text
            expect(page.locator("#details .timeline")).to_contain_text("instance.failed")
            page.fill("#q", text[:9])
            expect(rows(page)).to_have_count(1)
            page.reload()
            expect(page.locator("#d-id")).to_have_text(name_of(text))
            assert page.locator("#runtime").text_content() == name_of(text)
            assert page.title() != "taken"
            assert page.locator("img, svg[onload], body > script").count() == 2  # the page's own

        await here.do(look)


@pytest.mark.parametrize("text", [*BAD, "%2e%2e", "..."])
async def test_verbs_reach_the_instance_whatever_its_id(browser: Browser, text: str) -> None:
    """An id is a part of an address, where half of its characters mean something else."""
    async with site(browser) as here:
        channel = await here.start(name_of(text))
        await here.visit()

        def look(page: Page) -> None:
            page.evaluate("token => sessionStorage.setItem('trio-instances-token', token)", TOKEN)
            rows(page).first.click()
            # What comes first moves the buttons down, and a click with them would go past.
            expect(page.locator("#details .status")).to_contain_text("Connected for")
            page.get_by_role("button", name="Pause", exact=True).click()
            expect(page.locator(".answer")).to_contain_text("has accepted it")
            expect(page.locator("#details .status")).to_contain_text("Paused")

        await here.do(look)
        assert channel.living == 0


@pytest.mark.parametrize("name", [".", ".."])
async def test_an_id_that_no_address_can_hold_is_shown_and_explained(
    browser: Browser, name: str
) -> None:
    """Browsers take a dot, or two, for a step in a path, however they are written."""
    async with site(browser) as here:
        await here.start(name)
        await here.visit()

        def look(page: Page) -> None:
            rows(page).first.click()
            expect(page.locator("#details .status")).to_contain_text("Connected for")
            expect(page.locator("#details")).to_contain_text("No address leads to an instance")

        await here.do(look)
