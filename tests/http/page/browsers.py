"""A browser that an event loop can use, and the tabs in it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, final
from urllib.parse import urlsplit

import trio
from playwright.sync_api import ConsoleMessage, Locator, Page, Request, expect, sync_playwright

T = TypeVar("T")

NAMES = ("chromium", "chromium-browser", "google-chrome")
"""What a Chromium is called, by system."""
FOREIGN = ("data:", "blob:")
"""Where no other host is asked."""
PATIENCE = 15_000.0
"""Milliseconds for which a tab waits for what a test expects; other work may keep the machine."""


@final
class Browser:
    """One Chromium, in the one thread that may touch Playwright's objects.

    Args:
        executable: The program.
    """

    def __init__(self, executable: str) -> None:
        expect.set_options(timeout=PATIENCE)
        self._thread = ThreadPoolExecutor(1, "browser")
        self._playwright = self.call(lambda: sync_playwright().start())
        # Its sandbox does not let root in, whom containers like to be.
        self._chromium = self.call(
            lambda: self._playwright.chromium.launch(
                executable_path=executable, args=["--no-sandbox"]
            )
        )

    def call(self, function: Callable[[], T]) -> T:
        """Call a function in the browser's thread, and wait for it."""
        return self._thread.submit(function).result()

    def open(self, **options: Any) -> Tab:
        """Open a tab that shares nothing with any other."""
        return Tab(self, self.call(lambda: self._new_page(**options)))

    def _new_page(self, **options: Any) -> Page:
        page = self._chromium.new_context(**{"viewport": WIDE, **options}).new_page()
        page.set_default_timeout(PATIENCE)
        return page

    def close(self) -> None:
        """End the browser and its thread."""
        self.call(self._chromium.close)
        self.call(self._playwright.stop)
        self._thread.shutdown()


WIDE = {"width": 1360, "height": 760}
PHONE = {"width": 390, "height": 844}


@final
class Tab:
    """One tab, and everything in it that a good page does not do.

    Args:
        browser: Where it is.
        page: Playwright's object for it.
    """

    def __init__(self, browser: Browser, page: Page) -> None:
        self._browser = browser
        self._page = page
        self.complaints: list[str] = []
        """Errors, and what the content security policy has forbidden."""
        self.requests: list[str] = []
        """Every address that was asked for."""
        browser.call(self._listen)

    def _listen(self) -> None:
        self._page.on("console", self._take_message)
        self._page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self._page.on("request", self._take_request)

    def _take_message(self, message: ConsoleMessage) -> None:
        # That an endpoint refuses, or is gone, is noted by the browser and dealt with by the page.
        expected = message.text.startswith("Failed to load resource")
        if message.type in ("error", "warning") and not expected:
            self.complaints.append(message.text)

    def _take_request(self, request: Request) -> None:
        self.requests.append(request.url)

    async def do(self, steps: Callable[[Page], T]) -> T:
        """Do something with the page. The event loop goes on meanwhile."""
        return await trio.to_thread.run_sync(self._browser.call, lambda: steps(self._page))

    async def visit(self, url: str) -> None:
        """Load a page, and wait until it is live."""
        await self.do(lambda page: page.goto(url))
        await self.do(lambda page: page.wait_for_selector("body[data-live=live]"))

    def hosts(self) -> set[str]:
        """Return every host that was asked for anything."""
        return {urlsplit(url).netloc for url in self.requests if not url.startswith(FOREIGN)}

    async def close(self) -> None:
        """Close it."""
        await self.do(lambda page: page.context.close())


# --- where things are on the page ----------------------------------------------------------------


def rows(page: Page) -> Locator:
    """Return the rows of instances that are in the document now."""
    return page.locator("#rows tr[data-id]:visible")


def row(page: Page, instance_id: str) -> Locator:
    """Return the row of an instance."""
    return page.locator(f'#rows tr[data-id="{instance_id}"]:visible')


def chip(page: Page, word: str) -> Locator:
    """Return the button that counts a status, or who must act, and filters by it."""
    return page.locator(f'.chip[data-status="{word}"]')


def ids(page: Page) -> list[str]:
    """Return the ids in the table, from top to bottom."""
    found: list[str] = rows(page).evaluate_all("rows => rows.map((row) => row.dataset.id)")
    return found
