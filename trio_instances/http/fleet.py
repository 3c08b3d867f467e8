"""What there is now: liveness, readiness, instances."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Any, final

import attrs
import trio

from .._exceptions import InstanceNotFound
from ..policy.health import HealthSnapshot
from ..policy.standing import Standing, in_words, judge_start
from ..policy.status import InstanceStatus
from ..telemetry import SCHEMA_VERSION, catalogue, snapshot_to_dict, to_plain
from .answers import JSON, Parts, Refusal, asked, in_json
from .feed import Feed, told
from .slices import Turns, cut

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams
    from starlette.requests import Request
    from starlette.responses import Response

    from .._instance.handle import Instance
    from .._runtime.runtime import Runtime
    from ..telemetry import Event

FIELDS = tuple(field.name for field in attrs.fields(HealthSnapshot))
"""What a snapshot has; more with later versions."""
_STANDINGS = 500
"""Instances whose standings are made at once; each takes some 3 µs."""
_LISTED = 100
"""Instances that ``/readyz`` lists one by one."""
_RECENT, _MOST_RECENT = 200, 1000


@final
class Fleet:
    """The answers about instances.

    Args:
        runtime: Where they are.
        feed: What has happened to them.
        turns: Shared with all others who look at the whole fleet.
    """

    def __init__(self, runtime: Runtime, feed: Feed, turns: Turns) -> None:
        self._runtime = runtime
        self._feed = feed
        self._turns = turns
        self._began = trio.current_time()

    async def livez(self, request: Request) -> Response:
        """Say that the event loop gets round to answering, which is all that this asks."""
        asked(request, ())
        return in_json({"status": "alive", "uptime": trio.current_time() - self._began})

    async def readyz(self, request: Request) -> Response:
        """Say whether all required instances are proven, and which are not, and why."""
        asked(request, ())
        standings: list[Standing] = []
        for some in cut(self._runtime.list_instances(), _STANDINGS):
            standings += await self._turns.make(_standings, some)
        start = judge_start(standings, self._runtime.settings.required)
        ready = start.done and not self._runtime.ending.begun
        body: dict[str, Any] = {"ready": ready, "summary": in_words(standings)}
        if self._runtime.ending.begun:
            body["detail"] = "the runtime stops"
        elif not standings:
            body["detail"] = "there is no instance yet"
        if request.scope["trusted"]:  # what it is called, and why it fails, is not for everybody
            body["not_proven"] = [_plain(each) for each in start.missing[:_LISTED]]
            body["not_listed"] = max(len(start.missing) - _LISTED, 0)
            body["unknown"] = start.unknown
        else:
            del body["summary"]
        return in_json(body, 200 if ready else 503)

    async def instances(self, request: Request) -> Parts:
        """Give the snapshots of all instances, or of those that were asked for."""
        params = asked(request, ("fields", "id", "status"))
        fields = _chosen(params.get("fields"))
        statuses = _statuses(params.getlist("status"))
        instances = self._chosen_instances(params.getlist("id"))

        def make(some: Sequence[Instance]) -> bytes:
            rows = [_row(each, fields) for each in some if not statuses or each.status in statuses]
            return ",\n".join(rows).encode()

        async def parts() -> AsyncGenerator[bytes, None]:
            head = {
                "schema": SCHEMA_VERSION,
                "at": trio.current_time(),
                # Taken first: who follows the events from here on misses none of what comes after.
                "position": self._feed.position,
                "attempts_per_second": self._feed.attempts_per_second(trio.current_time()),
                "budgets": to_plain(self._runtime.list_budget_health()),
            }
            yield json.dumps(head)[:-1].encode() + b', "instances": [\n'
            comma = b""
            for some in cut(instances):
                part = await self._turns.make(make, some)
                if part:
                    yield comma + part
                    comma = b",\n"
            yield b"\n]}\n"

        return Parts(parts, JSON)

    async def instance(self, request: Request) -> Response:
        """Give the snapshot of one instance."""
        asked(request, ())
        return in_json(snapshot_to_dict(self.find(request).health()))

    async def recent_events(self, request: Request) -> Response:
        """Give the last events of one instance that are still kept, oldest first."""
        limit = _limit(asked(request, ("limit",)))
        return self._told(self._feed.recent(self.find(request).id, limit))

    async def lately(self, request: Request) -> Response:
        """Give the last events of some names, whoever they are about, oldest first."""
        params = asked(request, ("event", "limit"))
        return self._told(self._feed.lately(_names(params.getlist("event")), _limit(params)))

    def _told(self, events: Sequence[Event]) -> Response:
        body = {
            "at": trio.current_time(),
            "position": self._feed.position,
            "events": [told(event) for event in events],
        }
        return in_json(body)

    def find(self, request: Request) -> Instance:
        """Return the instance that a path names.

        Raises:
            Refusal: There is none of this id.
        """
        return find_instance(self._runtime, request.path_params["instance_id"])

    def _chosen_instances(self, ids: Sequence[str]) -> list[Instance]:
        if not ids:
            return self._runtime.list_instances()

        found = []
        for name in dict.fromkeys(ids):  # one that is gone meanwhile is no reason to hide the rest
            try:
                found.append(self._runtime.instance(name))
            except InstanceNotFound:
                continue
        return found


def find_instance(runtime: Runtime, instance_id: str) -> Instance:
    """Return an instance by its id.

    Raises:
        Refusal: There is none of this id.
    """
    try:
        return runtime.instance(instance_id)
    except InstanceNotFound:
        detail = f"there is no instance {instance_id[:80]!r}: /instances lists those there are"
        raise Refusal(404, "instance_not_found", detail) from None


def _standings(instances: Sequence[Instance]) -> list[Standing]:
    return [instance.standing() for instance in instances]


def _row(instance: Instance, fields: Sequence[str] | None) -> str:
    snapshot = instance.health()
    if fields is None:
        return json.dumps(snapshot_to_dict(snapshot), allow_nan=False)

    row = {name: to_plain(getattr(snapshot, name)) for name in fields}
    return json.dumps(row, allow_nan=False)


def _chosen(words: str | None) -> Sequence[str] | None:
    if words is None:
        return None

    names = words.split(",")
    for name in names:
        if name not in FIELDS:
            detail = f"there is no field {name[:80]!r}; there are {', '.join(FIELDS)}"
            raise Refusal(400, "bad_parameter", detail)
    return names


def _limit(params: QueryParams) -> int:
    limit = params.get("limit", str(_RECENT))
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= _MOST_RECENT):
        detail = f"limit must be 1 to {_MOST_RECENT}, not {limit[:80]!r}"
        raise Refusal(400, "bad_parameter", detail)

    return int(limit)


def _names(words: Sequence[str]) -> frozenset[str]:
    known, names = catalogue(), set[str]()
    for word in words or ("*",):
        found = fnmatch.filter(known, word)
        if not found:
            detail = f"there is no event {word[:80]!r}; 'child.*' are all of that kind"
            raise Refusal(400, "bad_parameter", detail)
        names.update(found)
    return frozenset(names)


def _statuses(words: Sequence[str]) -> frozenset[str]:
    known = [str(status) for status in InstanceStatus]
    for word in words:
        if word not in known:
            detail = f"there is no status {word[:80]!r}; there are {', '.join(known)}"
            raise Refusal(400, "bad_parameter", detail)
    return frozenset(words)


def _plain(missing: Standing) -> dict[str, Any]:
    plain: dict[str, Any] = to_plain(missing)
    words = str(missing.status)
    if missing.connected:
        words += ": its connection is not proven yet"
    elif missing.cause is not None:
        words += f": {missing.cause}"
    kept = {key: plain[key] for key in ("instance_id", "status", "connected", "cause")}
    return {**kept, "why": words}
