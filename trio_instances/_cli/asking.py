"""The commands that ask a running process: their options and their exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click
import trio

from .._attended import attended
from ..http.serving import DEFAULT_PORT
from ..policy.status import InstanceStatus
from ..telemetry.sinks.extras import not_installed
from .address import BadAddress, NotAnswered, read_address
from .exit_codes import AskedCode
from .output import ReaderGone
from .signals import SIGNALS
from .telling import LEVELS, Telling, run_events, run_tree
from .top import Look, run_top
from .urgency import Wanted

if TYPE_CHECKING:
    from .address import Address
    from .remote import Remote

F = TypeVar("F", bound=Callable[..., None])
Act = Callable[["Remote"], Awaitable[AskedCode]]

_HERE = f"http://127.0.0.1:{DEFAULT_PORT}"
_TOKEN = "TRIO_INSTANCES_TOKEN"  # noqa: S105 - the name of a variable


def _of_endpoint(command: F) -> F:
    """Give a command the argument and the option of every question."""
    token = click.option(
        "--token",
        envvar=_TOKEN,
        show_envvar=True,
        metavar="TEXT",
        help="The endpoint's token. In the variable nobody sees it among the processes.",
    )
    return click.argument("url", default=_HERE)(token(command))


@click.command()
@_of_endpoint
@click.option("--once", is_flag=True, help="Print one picture and end.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    help="Seconds between two pictures.",
)
@click.option("--filter", "text", default="", help="Only instances with this text in their row.")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice([status.value for status in InstanceStatus]),
    help="Only instances of this status. May be repeated.",
)
def top(
    *,
    url: str,
    token: str | None,
    once: bool,
    interval: float,
    text: str,
    statuses: tuple[str, ...],
) -> None:
    """See at a glance how the fleet behind the operations endpoint at URL is, until q or Ctrl-C.

    The instances that somebody must look at come first. Into a pipe it prints one picture after the
    other as plain text.

    Exit codes: 0 ended by q, or with --once, every instance that is shown is proven; 1 with --once,
    one is not, or none is shown; 2 wrong arguments; 69 the endpoint cannot be reached; 74 standard
    output takes no more; 76 it is no endpoint, or of another version; 77 it wants another token;
    130 interrupted.
    """
    look = Look(wanted=Wanted(text, frozenset(statuses)), interval=interval, once=once)
    _run(url, token, lambda remote: run_top(remote, look))


@click.command()
@_of_endpoint
@click.option("--instance", metavar="ID", help="Only this one.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def tree(*, url: str, token: str | None, instance: str | None, as_json: bool) -> None:
    """Print the live supervision tree behind the operations endpoint at URL.

    Every child with its state, its restarts, its last failure, and where it waits.

    Exit codes: 0 printed; 2 wrong arguments, or no such instance; 69 the endpoint cannot be
    reached; 74 standard output takes no more; 76 it is no endpoint, or of another version; 77 it
    wants another token; 130 interrupted.
    """
    _run(url, token, lambda remote: run_tree(remote, instance, as_json=as_json))


@click.command()
@_of_endpoint
@click.option("--instance", metavar="ID", help="Only what happens to this one.")
@click.option("--after", metavar="ID|start", help="Go on from an event's position; start: replay.")
@click.option("--level", type=click.Choice(LEVELS), default="DEBUG", help="The least to tell.")
@click.option("--json", "as_json", is_flag=True, help="As lines of JSON.")
def events(
    *,
    url: str,
    token: str | None,
    instance: str | None,
    after: str | None,
    level: str,
    as_json: bool,
) -> None:
    """Follow the events of the operations endpoint at URL, a line each, until Ctrl-C.

    A connection that is lost is made again, and nothing is told twice. What was missed, and every
    loss, is said on standard error.

    Exit codes: 0 whoever read it has stopped to; 2 wrong arguments, or no such instance or
    position; 69 the endpoint cannot be reached; 74 standard output takes no more; 76 it is no
    endpoint, or of another version; 77 it wants another token; 130 interrupted.
    """
    wanted = Telling(instance=instance, after=after, level=level, as_json=as_json)
    _run(url, token, lambda remote: run_events(remote, wanted, _say))


COMMANDS = (top, tree, events)


def _run(url: str, token: str | None, act: Act) -> None:
    try:
        address = read_address(url, token or None)
    except BadAddress as exc:
        _say(str(exc))
        sys.exit(AskedCode.REFUSED)

    try:
        sys.exit(trio.run(_until_signal, address, act))
    except KeyboardInterrupt:
        sys.exit(AskedCode.INTERRUPTED)
    except ModuleNotFoundError as missing:
        _say(str(missing))
        sys.exit(AskedCode.REFUSED)
    except OSError as exc:
        _say(f"standard output: {exc.strerror}")
        sys.exit(AskedCode.OUTPUT)


async def _until_signal(address: Address, act: Act) -> AskedCode:
    """Ask until it is answered or a signal comes; a second one ends the process at once."""
    code = AskedCode.INTERRUPTED
    with trio.CancelScope() as scope:
        async with attended() as nursery:
            await nursery.start(_cancel_at_signal, scope)
            code = await _ask(address, act)
    return code


async def _ask(address: Address, act: Act) -> AskedCode:
    try:
        from .remote import Remote  # noqa: PLC0415 - whoever asks nothing need not have httpx
    except ModuleNotFoundError as missing:
        raise not_installed("this command", "http", missing) from None

    try:
        async with Remote(address) as remote:
            return await act(remote)
    except NotAnswered as exc:
        _say(str(exc))
        return exc.code
    except ReaderGone:
        # Else Python would try to write what is left, and say that it cannot.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return AskedCode.WELL


async def _cancel_at_signal(scope: trio.CancelScope, *, task_status: trio.TaskStatus[None]) -> None:
    with trio.open_signal_receiver(*SIGNALS) as received:
        task_status.started()
        async for _ in received:
            scope.cancel()
            return


def _say(text: str) -> None:
    click.echo(f"trio-instances: {text}", err=True)
