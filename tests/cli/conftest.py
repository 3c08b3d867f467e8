"""What the tests of the command line share: a real gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from trio_instances.testing import Gateway, open_gateway

SECONDS = 40


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """Run a gateway around a test, under the test's deadline."""
    with trio.fail_after(SECONDS):
        async with open_gateway() as gateway:
            yield gateway
