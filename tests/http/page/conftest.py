"""A real Chromium, one for all tests of the page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from .browsers import NAMES, Browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Give a browser; skip where there is none."""
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        pytest.skip(f"no Chromium is installed: none of {', '.join(NAMES)} is on the PATH")

    browser = Browser(executable)
    try:
        yield browser
    finally:
        browser.close()
