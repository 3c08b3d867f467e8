"""Probing one connection: bounded, never overlapping itself; it reports, and never acts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from ..policy import health
from ..policy.failures import Cause, FailureClass
from ..policy.health import ProbeAction, ProbePolicy, ProbeVerdict
from ..policy.signals import SignalKind
from ..telemetry import events

if TYPE_CHECKING:
    from .record import InstanceRecord

PROBE_TIMEOUT = "probe_timeout"


async def probe_for_ever(
    record: InstanceRecord, policy: ProbePolicy, generation: int, connection: Any
) -> None:
    """Probe a connection until cancelled.

    Args:
        record: The instance.
        policy: When, for how long, and what the verdicts lead to.
        generation: Which connection it is, so that a late verdict judges no other.
        connection: What the channel's ``connect`` gave.
    """
    await trio.sleep(policy.wait(record.random.random(), first=True))
    while True:
        began = trio.current_time()
        cause = await _probe_once(record, policy, connection)
        _take_in(record, policy, generation, cause, trio.current_time() - began)
        await trio.sleep(policy.wait(record.random.random()))


async def _probe_once(record: InstanceRecord, policy: ProbePolicy, connection: Any) -> Cause | None:
    try:
        with trio.move_on_after(policy.timeout) as budget:
            await record.spec.channel.probe(record.handle, connection)
    except Exception as exc:
        return record.classify(exc)

    if budget.cancel_called:  # also when it took no notice of that, and returned in the end
        detail = f"no answer within {policy.timeout:g} s"
        return Cause(FailureClass.RECOVERABLE, PROBE_TIMEOUT, detail)

    return None


def _take_in(
    record: InstanceRecord,
    policy: ProbePolicy,
    generation: int,
    cause: Cause | None,
    latency: float,
) -> None:
    if not record.connected or record.connection.generation != generation:
        return  # it comes late, and what it says is about a connection that there is no more

    state, action = health.step(record.probe, policy, cause, latency, trio.current_time())
    record.probe = state
    if record.bus.listening:
        record.tell(
            events.ProbeCompleted,
            generation=generation,
            verdict=state.verdict or ProbeVerdict.OK,
            latency=latency,
            streak=state.streak,
            cause=cause,
        )
    match action:
        case ProbeAction.NONE:
            pass
        case ProbeAction.RECOVER:
            record.recover("probe")
        case ProbeAction.DEGRADE:
            assert cause is not None
            record.degrade("probe", cause)
        case ProbeAction.FAIL:
            record.signal(SignalKind.LOST, cause=cause, generation=generation)
