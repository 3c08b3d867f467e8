"""The commands, their options and their exit codes."""

from __future__ import annotations

import faulthandler
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NoReturn

import attrs
import click
import loguru
import trio
from rich.console import Console

from .. import __version__
from .._exceptions import InvalidSpec
from .._runtime.config import Config, load_config
from .._runtime.init_system import InitSystem
from .._runtime.run_settings import RunSettings
from ..abc import Sink
from ..http.serving import DEFAULT_PORT
from ..policy.listening import LOOPBACK, MAX_PORT, Address
from ..policy.plan import plan as make_plan
from ..telemetry.sinks.loguru_sink import LoguruSink
from .asking import COMMANDS
from .demo import MINIMUM, Demo, play_demo
from .exit_codes import AskedCode, ExitCode
from .operations import CannotServe
from .plan_tables import print_plan
from .running import JSONOutput, run_instances
from .telling import LEVELS
from .wording import listed, mistakes_in_words

_LOG_LINE = "{time:YYYY-MM-DD HH:mm:ss.SSS} {level: <8} {message}"
_PAUSE = 2.0
_FILES = 64
"""Open files that the demo may need beside both ends of each connection."""
_FILE = click.Path(path_type=Path)
_WIDTH = 100
"""Columns of a plan, so that it is the same wherever it is printed."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="trio-instances")
def main() -> None:
    """Supervised, long-lived channel instances on Trio."""


for _command in COMMANDS:
    main.add_command(_command)


@main.command()
@click.option("--seed", type=int, default=1, show_default=True, help="Where all chance comes from.")
@click.option(
    "--instances",
    type=click.IntRange(min=MINIMUM),
    default=50,
    show_default=True,
    help=f"How many. At least {MINIMUM}: four have a part of their own, and one has none.",
)
@click.option("--fast", is_flag=True, help="Without the pauses for watching: a few seconds.")
@click.option(
    "--http",
    type=click.IntRange(0, MAX_PORT),
    is_flag=False,
    flag_value=DEFAULT_PORT,
    metavar="[PORT]",
    help="Serve the operations page on loopback, and play on and on until Ctrl-C. "
    f"Without a port: {DEFAULT_PORT}; 0 takes any that is free.",
)
def demo(*, seed: int, instances: int, fast: bool, http: int | None) -> None:
    """Watch a fleet of real WebSocket connections live through a scripted story.

    The gateway is embedded, and listens on the loopback interface only. A child crashes and is
    restarted; the gateway dies and comes back; an instance is refused for bad credentials and is
    parked; one stops getting pongs and is reconnected; an optional child fails and its instance
    degrades; all stop in reverse start order.

    Exit codes: 0 when all happened as it should, 1 when the counts differ, 2 when the page cannot
    be served, 130 when the story was interrupted.
    """
    _allow_open_files(_FILES + 2 * instances)
    address = None if http is None else Address(LOOPBACK, http)
    what = Demo(instances=instances, seed=seed, pause=0.0 if fast else _PAUSE, http=address)
    try:
        sys.exit(trio.run(play_demo, what, Console()))
    except CannotServe as exc:
        raise click.UsageError(str(exc)) from None


@main.command()
@click.argument("file", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Events as lines of JSON on standard output.")
@click.option(
    "--level",
    type=click.Choice(LEVELS),
    help="The least to tell of events; by default INFO, and with --json everything.",
)
@click.option(
    "--http",
    metavar="[HOST:]PORT",
    help="Serve the operations endpoint there, whatever the file says; on loopback without a HOST. "
    "Its token is the file's [run] http_token.",
)
def run(*, file: Path, as_json: bool, level: str | None, http: str | None) -> None:
    """Run the WebSocket instances of a TOML FILE until SIGINT or SIGTERM.

    The first signal stops them in reverse start order. A second one, at least a second later, ends
    the process at once. SIGHUP reads the file again: instances are started, stopped and restarted
    as far as it has changed, and not at all if it has mistakes.

    Started by systemd (or whatever sets NOTIFY_SOCKET), it tells it when it is ready, how it is,
    and that it gets on.

    Exit codes: 0 stopped as asked, 1 the runtime has given up, 2 the file or the environment has
    mistakes and nothing was started, 69 everything was down for too long, 70 an unexpected failure;
    after a second signal, the signal's own (130 or 143 in a shell).
    """
    sys.exit(_run(file, http, level, as_json=as_json))


@main.command()
@click.argument("file", type=_FILE)
def check(*, file: Path) -> None:
    """Say whether a TOML FILE is right; start nothing.

    Exit codes: 0 it is, 2 it has mistakes, each of which is listed with its place, 74 standard
    output takes no more.
    """
    config = _load(file)
    count = len(config.instances)
    ids = [spec.id for spec in config.instances]
    with _printing():
        click.echo(f"{count} instance{'s' if count > 1 else ''}: {listed(ids)}")


@main.command()
@click.argument("file", type=_FILE)
def plan(*, file: Path) -> None:
    """Say in numbers what the policies of a TOML FILE mean; start nothing.

    How many connection attempts an outage leads to and how soon all are back after it, by instance
    and by budget, and which policies are probably not meant. The outages
    are those of a provider that refuses each attempt at once, for as long as they last.

    Exit codes: 0 whatever is found out, 2 the file has mistakes, 74 standard output takes no more.
    """
    config = _load(file)
    found = make_plan(config.instances, config.settings)
    with _printing():
        print_plan(found, Console(width=_WIDTH, highlight=False))


@contextmanager
def _printing() -> Iterator[None]:
    """End the process where standard output takes no more, as on a full disk; say so."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise  # its reader has stopped to: click ends without a word
    except OSError as exc:
        _say(f"standard output: {exc.strerror}")
        # What is in the buffer would be tried, and fail, once more at the end of the process.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(AskedCode.OUTPUT)


def _run(file: Path, http: str | None, level: str | None, *, as_json: bool) -> ExitCode:
    try:
        config, init = _load(file), _init_system()
        address = _address(http, config.run)
        # A watchdog ends a process by SIGABRT: so that it says where it was.
        faulthandler.enable(file=2)
        loguru.logger.remove()
        loguru.logger.add(sys.stderr, level=level or "INFO", format=_LOG_LINE)
        sink: Sink = JSONOutput(level=level or "DEBUG") if as_json else LoguruSink()
        running = partial(run_instances, file, config, sink, _say, init, http=address)
        return trio.run(running)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception:
        traceback.print_exc()
        return ExitCode.BROKEN


def _address(http: str | None, run: RunSettings) -> Address | None:
    if http is None:
        return None

    try:
        return attrs.evolve(run, http=http).http
    except InvalidSpec as exc:
        wrong = [attrs.evolve(each, place="--http") for each in exc.mistakes]
        _refuse(InvalidSpec("the arguments", wrong))


def _init_system() -> InitSystem | None:
    try:
        return InitSystem.from_environment()
    except InvalidSpec as exc:
        _refuse(exc)


def _allow_open_files(count: int) -> None:
    """Raise this process's own limit where that is needed; each end of a connection is a file."""
    try:
        import resource  # noqa: PLC0415 - not everywhere, and needed nowhere else
    except ImportError:
        return  # Windows, where there is no such limit

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= count:
        return
    if hard != resource.RLIM_INFINITY and hard < count:
        most = (hard - _FILES) // 2
        raise click.UsageError(f"this system's limit of open files allows --instances {most}")

    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def _load(file: Path) -> Config:
    try:
        return load_config(file)
    except InvalidSpec as exc:
        _refuse(exc)


def _refuse(exc: InvalidSpec) -> NoReturn:
    for line in mistakes_in_words(exc):
        click.echo(line, err=True)
    sys.exit(ExitCode.REFUSED)  # click's own for wrong arguments


def _say(text: str) -> None:
    # A terminal that is gone is no reason to end what runs in an unordered way.
    with suppress(OSError):
        click.echo(f"trio-instances: {text}", err=True)
