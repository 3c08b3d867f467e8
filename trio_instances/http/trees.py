"""The live supervision tree, as JSON and as text."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, final

from .._supervision.dump import child_lines, headline
from ..telemetry import SCHEMA_VERSION, to_plain
from .answers import JSON, TEXT, Parts, Refusal, asked
from .fleet import find_instance
from .slices import Turns, cut

if TYPE_CHECKING:
    from starlette.requests import Request

    from .._runtime.runtime import Runtime

_INSTANCES = 10
"""Instances whose trees are read at once; where each child waits takes a while to find out."""


@final
class Trees:
    """The answers about the tree.

    Args:
        runtime: Whose tree it is.
        turns: Shared with all others who look at the whole fleet.
    """

    def __init__(self, runtime: Runtime, turns: Turns) -> None:
        self._runtime = runtime
        self._turns = turns

    async def tree(self, request: Request) -> Parts:
        """Give the tree; of one instance alone, where one is named."""
        params = asked(request, ("instance", "format"))
        form = params.get("format", "text" if _wants_text(request) else "json")
        if form not in ("json", "text"):
            detail = f"format must be json or text, not {form[:80]!r}"
            raise Refusal(400, "bad_parameter", detail)

        wanted = params.get("instance")
        if wanted is None:
            ids = [instance.id for instance in self._runtime.list_instances()]
        else:
            ids = [find_instance(self._runtime, wanted).id]
        if form == "text":
            return Parts(lambda: self._text(ids), TEXT)

        return Parts(lambda: self._json(ids), JSON)

    async def _json(self, ids: Sequence[str]) -> AsyncGenerator[bytes, None]:
        head = {"schema": SCHEMA_VERSION, **to_plain(self._runtime.tree(()))}
        del head["children"]
        yield json.dumps(head, allow_nan=False)[:-1].encode() + b', "children": [\n'
        comma = b""
        for some in cut(ids, _INSTANCES):
            part = await self._turns.make(self._json_of, some)
            if part:
                yield comma + part
                comma = b",\n"
        yield b"\n]}\n"

    def _json_of(self, ids: Sequence[str]) -> bytes:
        children = self._runtime.tree(ids).children
        return ",\n".join(json.dumps(to_plain(each), allow_nan=False) for each in children).encode()

    async def _text(self, ids: Sequence[str]) -> AsyncGenerator[bytes, None]:
        yield f"{headline(self._runtime.tree(()))}\n".encode()
        last = ids[-1:]

        def lines_of(some: Sequence[str]) -> bytes:
            lines = child_lines(self._runtime.tree(some), more=some[-1:] != last)
            return "".join(f"{line}\n" for line in lines).encode()

        for some in cut(ids, _INSTANCES):
            yield await self._turns.make(lines_of, some)


def _wants_text(request: Request) -> bool:
    accept = request.headers.get("accept", "")
    return "text/plain" in accept and "json" not in accept
