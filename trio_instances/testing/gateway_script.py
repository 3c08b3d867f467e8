"""A script played by a real server: what of it goes over the wire, and how."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import attrs
import trio

from ..policy.failures import Cause
from ..policy.mistakes import MistakeList
from .gateway_client import LOST
from .script import Attempt, Script, as_script

if TYPE_CHECKING:
    from .gateway_client import GatewayClient

ABNORMAL = 1006
"""What a client calls an end without a close frame, so that it is made by a reset."""

_CLIENTS_OWN = (
    *("refuses_session", "rotates_after", "crashes", "crash", "bad_starts", "child_stays"),
    *("close_fails", "stays"),
)
"""What a script can ask of a fake channel only, for it happens at the client."""
_GRACE = 5.0


def as_playable(given: Script | Attempt | Iterable[Attempt]) -> Script:
    """Return a script of what a gateway was given: a script, one attempt, or several.

    Raises:
        InvalidSpec: It asks for what happens at the client; every such field is listed.
    """
    script = as_script(given)
    wrong = MistakeList("the script of a gateway")
    places = {f"attempts[{index}]": each for index, each in enumerate(script.attempts)}
    usual = attrs.asdict(Attempt(), recurse=False)
    for place, attempt in {**places, "then": script.then}.items():
        for name in _CLIENTS_OWN:
            value = getattr(attempt, name)
            if value != usual[name]:
                expected = "is nothing that a server does: use a FakeChannel for it"
                wrong.add(f"{place}.{name}", value, expected)
    wrong.raise_any()
    return script


def status_of(attempt: Attempt) -> tuple[int, float | None] | None:
    """Return the HTTP status and ``Retry-After`` of a refusal; None: by a reset, with no answer."""
    refused = attempt.refused
    if not isinstance(refused, Cause):
        return None if refused is None else (refused, None)

    status = re.fullmatch(r"http_([45]\d\d)", refused.reason)
    return None if status is None else (int(status[1]), refused.retry_after)


def code_of(attempt: Attempt) -> int:
    """Return the close code of an end."""
    ends = attempt.ends
    if not isinstance(ends, Cause):
        return ends

    code = re.fullmatch(r"close_(\d{4})", ends.reason)
    return ABNORMAL if code is None else int(code[1])


async def play(client: GatewayClient, attempt: Attempt) -> None:
    """Do on an open connection what the script says of it, until it has ended."""
    client.close_delay = attempt.close_takes
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_talk, client, attempt)
        nursery.start_soon(_fall_mute, client, attempt)
        await trio.sleep(attempt.holds)
        nursery.cancel_scope.cancel()

    code = code_of(attempt)
    if code == ABNORMAL:
        client.reset()
    else:
        await client.close(code, grace=_GRACE)


async def _talk(client: GatewayClient, attempt: Attempt) -> None:
    number = 0
    with trio.move_on_after(attempt.deaf_after):
        while True:
            number += 1
            try:
                await client.send(str(number))
            except LOST:
                return

            await trio.sleep(attempt.every)


async def _fall_mute(client: GatewayClient, attempt: Attempt) -> None:
    await trio.sleep(attempt.mute_after)
    client.answers_pings = False
