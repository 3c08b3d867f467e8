"""When a channel that was made anew is the one that was there before."""

from __future__ import annotations

import inspect
import ssl
from typing import Any

import pytest

from trio_instances.channels import MemoryChannel, MemoryServer, WebSocketChannel
from trio_instances.policy.causes import DISCORD

URL = "wss://gateway.example/socket"


async def _handle(*_: object) -> None: ...


OTHERS: dict[str, Any] = {
    "url": "wss://gateway.example/other",
    "ssl_context": ssl.create_default_context(),
    "headers": {"Authorization": "other"},
    "subprotocols": ["v1"],
    "on_message": _handle,
    "outbox_capacity": 1,
    "inbox_capacity": 1,
    "max_message_size": 1,
    "ping": False,
    "close_code": 1001,
    "resume_close_code": 3000,
    "close_reason": "bye",
    "causes": DISCORD,
}
"""Of each option a value that is not its default."""


def test_the_table_of_options_is_complete() -> None:
    """An option that is forgotten here could be forgotten by the comparison as well."""
    assert set(OTHERS) == set(inspect.signature(WebSocketChannel).parameters)


@pytest.mark.parametrize("option", OTHERS)
def test_one_other_option_makes_another_channel(option: str) -> None:
    """Whichever it is, so that a change of it reaches the instance."""
    changed = {"url": URL, option: OTHERS[option]}

    assert WebSocketChannel(**changed) != WebSocketChannel(URL)
    assert WebSocketChannel(**changed) == WebSocketChannel(**changed)


def test_the_same_options_make_the_same_channel() -> None:
    """In whatever form they are given, whatever waits to be sent; and the hash agrees."""
    one = WebSocketChannel(**{**OTHERS, "headers": {"A": "1", "B": "2"}})
    two = WebSocketChannel(**{**OTHERS, "headers": [("A", "1"), ("B", "2")]})
    two.send_nowait("hello")

    assert one == two
    assert hash(one) == hash(two)
    assert one != "a channel"


class Mine(WebSocketChannel):
    """A channel with an option of its own, and no word about when it is the same."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(url)
        self.token = token


class Compared(Mine):
    """One that says when it is the same."""

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Compared) and self.same_options(other) and self.token == other.token
        )

    def __hash__(self) -> int:
        return hash(self.token)


def test_a_subclass_equals_only_itself() -> None:
    """Nothing is known here of its own options: to be restarted in vain is the lesser evil."""
    mine = Mine(URL, "a")

    assert mine == mine  # noqa: PLR0124 - this is the law
    assert mine != Mine(URL, "a")
    assert mine != WebSocketChannel(URL)
    assert WebSocketChannel(URL) != mine


def test_a_subclass_may_say_better() -> None:
    """It compares its own options, and has the others compared."""
    assert Compared(URL, "a") == Compared(URL, "a")
    assert Compared(URL, "a") != Compared(URL, "b")
    assert Compared(URL, "a") != Compared("ws://gateway.example/", "a")


def test_any_other_channel_is_the_same_only_if_it_is_the_same_object() -> None:
    """Its far end is an object too."""
    server = MemoryServer()

    assert MemoryChannel(server) != MemoryChannel(server)
