"""Running the instances of a file until somebody asks to stop, or there is a reason to."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, final

import trio

from .._exceptions import TrioInstancesError
from .._runtime.down import wait_all_down
from .._runtime.notifying import notify_init_system
from .._runtime.opening import open_runtime
from .._runtime.run_settings import WhenAllDown
from .._supervision.opening import open_supervisor
from .._supervision.stalls import watch_stalls
from ..abc import Sink
from ..policy.backoff import Backoff, Jitter
from ..policy.intensity import RestartIntensity
from ..policy.restart import RestartType
from ..policy.specs import ChildSpec
from ..policy.stalls import StallPolicy
from ..telemetry import HookFailed, SinkRecovered, json_line, level_of
from ..telemetry.bus import EventBus
from .exit_codes import ExitCode
from .operations import CannotServe, serve
from .reloading import Reloads
from .signals import stopping_on_signal
from .telling import LEVELS

if TYPE_CHECKING:
    from .._runtime.config import Config
    from .._runtime.init_system import InitSystem
    from .._runtime.run_settings import RunSettings
    from .._runtime.runtime import Runtime
    from .._supervision.supervisor import Supervisor
    from ..policy.listening import Address
    from ..telemetry import Event

End = Callable[[ExitCode, str], None]
"""What ends the run: how, and why in words."""

_SERVICES = RestartIntensity(max_restarts=5, period=10.0)
_AGAIN = Backoff(initial=1.0, factor=2.0, cap=30.0, jitter=Jitter.NONE)
"""These delays never exceed that intensity: an init system that is away is tried for ever."""


async def run_instances(
    file: Path,
    config: Config,
    sink: Sink,
    say: Callable[[str], None],
    init: InitSystem | None = None,
    *,
    http: Address | None = None,
) -> ExitCode:
    """Run what a file says, until there is a reason to stop; at SIGHUP, what it says then.

    Args:
        file: The file.
        config: What it says now.
        sink: Where the events go.
        say: Tells people what is going on; also called in a thread.
        init: The init system that started this process, if any.
        http: Where the operations endpoint listens; None leaves that to the file.

    Returns:
        How it ended.
    """
    body, bus, reloads = trio.CancelScope(), EventBus(), Reloads(say, init)
    reasons: list[ExitCode] = []

    def end(code: ExitCode, why: str) -> None:
        reasons.append(code)
        say(why)
        body.cancel()

    # The services are around the runtime, so that they outlive it: what is told of its stop is
    # told while it stops.
    async with (
        stopping_on_signal(body, say, hangup=reloads.ask),
        _telling_of_sinks(bus, say),
        open_supervisor(name="run", intensity=_SERVICES, backoff=_AGAIN, events=bus) as services,
    ):
        try:
            with _watching(config.run.stalls, bus, say):
                async with open_runtime(config.settings, sinks=[sink], events=bus) as runtime:
                    with body:
                        await _serve(services, runtime, http, config.run, say)
                        await reloads.begin(runtime, config)
                        await services.start_children(
                            list(_services_of(config, runtime, init, end))
                        )
                        await reloads.follow(runtime, file, config)
        except CannotServe as exc:
            say(str(exc))
            return ExitCode.REFUSED
        except TrioInstancesError as exc:
            say(f"the runtime has given up: {exc}")
            return ExitCode.GAVE_UP
        finally:
            # However the runtime ended: they have nothing to serve, nor to wait for, any more.
            await services.stop()

        say("stopped")
        return reasons[0] if reasons else ExitCode.STOPPED


async def _serve(
    services: Supervisor,
    runtime: Runtime,
    given: Address | None,
    run: RunSettings,
    say: Callable[[str], None],
) -> None:
    """Serve the operations endpoint, where one is wanted, before there is anything to see."""
    address = given or run.http
    if address is not None:
        url = await serve(services, runtime, address, run)
        say(f"the operations endpoint is at {url}")


def _services_of(
    config: Config, runtime: Runtime, init: InitSystem | None, end: End
) -> Iterator[ChildSpec]:
    """Yield what looks at a runtime, once its instances are started."""
    service = partial(ChildSpec, restart=RestartType.TRANSIENT, essential=False)
    if init is not None:
        yield service("init system", notify_init_system, (runtime, config.run.init, init))
    if config.run.when_all_down is WhenAllDown.EXIT:
        yield service("all down", _end_when_down, (runtime, config.run.all_down_after, end))


async def _end_when_down(runtime: Runtime, after: float, end: End) -> None:
    await wait_all_down(runtime, after)
    if not runtime.ending.begun:
        why = f"everything has been down for {after:g} s: stopping in reverse start order"
        end(ExitCode.ALL_DOWN, why)


def _watching(
    policy: StallPolicy | None, bus: EventBus, say: Callable[[str], None]
) -> AbstractContextManager[object]:
    if policy is None:
        return nullcontext()

    return watch_stalls(
        policy.threshold, warn_after=policy.warn_after, window=policy.window, events=bus, warn=say
    )


@asynccontextmanager
async def _telling_of_sinks(bus: EventBus, say: Callable[[str], None]) -> AsyncIterator[None]:
    """Say when the events get lost: the only sink cannot tell that it fails itself."""

    def hear(event: Event) -> None:
        match event:
            case HookFailed(hook="sink"):
                say(f"events get lost: {event.path} fails: {event.cause}")
            case SinkRecovered():
                say(f"{event.sink} takes events again; {event.lost} were lost")

    with bus.listen(hear):
        yield


@final
class JSONOutput(Sink):
    """Writes each event to a stream as one line of JSON, with the UTC time for people.

    Args:
        stream: Where to; standard output by default.
        level: The least to write.
    """

    def __init__(self, stream: TextIO | None = None, level: str = "DEBUG") -> None:
        self._levels = LEVELS[LEVELS.index(level) :]
        self._stream = sys.stdout if stream is None else stream
        # Its own, so that a reader that takes nothing holds one thread, and not all that Trio has.
        self._limiter = trio.CapacityLimiter(1)

    async def write(self, events: Sequence[Event]) -> None:
        """Write the events. A reader that is slow holds up a thread, and nothing else."""
        offset = time.time() - trio.current_time()
        wanted = (event for event in events if level_of(event) in self._levels)
        lines = "".join(json_line(event, offset) for event in wanted)
        await trio.to_thread.run_sync(
            self._write, lines, abandon_on_cancel=True, limiter=self._limiter
        )

    def _write(self, lines: str) -> None:
        self._stream.write(lines)
        self._stream.flush()
