"""pytest fixtures for tests of applications and channels, loaded wherever the library is installed.

It is a module of its own, beside the package, and imports nothing but pytest: every test session of
every user loads it, and the library with all that it needs only where a fixture is asked for.
"""

from __future__ import annotations

import inspect
import os
import random
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, final

import pytest

if TYPE_CHECKING:
    from trio_instances import Runtime, RuntimeSettings, Supervisor
    from trio_instances.testing import (
        EventRecorder,
        Expectations,
        FakeChannel,
        FaultSchedule,
    )
    from trio_instances.testing.under_test import TestEnd

_OPTION = "--instances-seed"
_VARIABLE = "TRIO_INSTANCES_SEED"
_ORDER = ("the tree", "the last events", "the faults", "chance")
"""The sections that a failure's report can have."""


@final
class _Notes:
    """What is to be said of one test: sections of its report, and reasons why it fails."""

    def __init__(self) -> None:
        self.sections: dict[str, Callable[[], str]] = {}
        self.end: TestEnd | None = None


_NOTES = pytest.StashKey[_Notes]()
_SEED = pytest.StashKey[str]()


def _notes(request: pytest.FixtureRequest) -> _Notes:
    stash: pytest.Stash = request.node.stash
    return stash.setdefault(_NOTES, _Notes())


# --- the seed ------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the seed be given."""
    parser.getgroup("trio_instances").addoption(
        _OPTION,
        metavar="SEED",
        help=f"seed of seeded_random, which a failing test prints; or set {_VARIABLE}",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Draw a seed for the session, unless one was given."""
    given = config.getoption(_OPTION) or os.environ.get(_VARIABLE)
    config.stash[_SEED] = given or str(random.SystemRandom().randrange(10**9))


@pytest.fixture
def seeded_random(request: pytest.FixtureRequest) -> random.Random:
    """Chance that can be had again: a failing test prints its seed.

    Each test has its own stream, whichever tests run before it.
    """
    seed = request.config.stash[_SEED]
    again = f"{_OPTION}={seed}, or {_VARIABLE}={seed}"
    _notes(request).sections["chance"] = lambda: f"to have it again: {again}"
    return random.Random(f"{seed}:{request.node.nodeid}")


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> None:
    """Name the plugin that is missing where none runs the async fixtures."""
    if fixturedef.func.__module__ != __name__ or not inspect.isasyncgenfunction(fixturedef.func):
        return

    anyio = "anyio_backend" in request.fixturenames
    if not anyio and not request.config.pluginmanager.hasplugin("trio"):
        pytest.fail(
            f"the fixture {fixturedef.argname!r} needs pytest-trio: pip install pytest-trio",
            pytrace=False,
        )


# --- what is tested ------------------------------------------------------------------------------


@pytest.fixture
def event_recorder(request: pytest.FixtureRequest) -> EventRecorder:
    """An ear on everything that `instance_runtime` and `supervisor` tell."""
    from trio_instances.testing import EventRecorder  # noqa: PLC0415 - see the top

    recorder = EventRecorder()
    _notes(request).sections["the last events"] = recorder.tell
    return recorder


@pytest.fixture
def instance_expectations() -> Expectations:
    """What may happen that would fail the test otherwise."""
    from trio_instances.testing import Expectations  # noqa: PLC0415 - see the top

    return Expectations()


@pytest.fixture
def _test_end(
    request: pytest.FixtureRequest,
    event_recorder: EventRecorder,
    instance_expectations: Expectations,
) -> TestEnd:
    from trio_instances.testing.under_test import TestEnd  # noqa: PLC0415 - see the top

    notes = _notes(request)
    notes.end = end = TestEnd(event_recorder, instance_expectations)
    notes.sections["the tree"] = lambda: end.tree
    notes.sections["the last events"] = lambda: end.events
    return end


@pytest.fixture
def instance_runtime_settings() -> RuntimeSettings | None:
    """Return the settings of `instance_runtime`; override it to have others."""
    return None


@pytest.fixture
async def instance_runtime(
    _test_end: TestEnd,
    instance_runtime_settings: RuntimeSettings | None,
    seeded_random: random.Random,
) -> AsyncIterator[Runtime]:
    """Run a runtime under the test's clock; it fails the test that leaves something undone.

    That is so when an instance failed for good, when work was under way at the end, and when
    something did not end when it was asked to; unless `instance_expectations` was told.
    """
    async with _test_end.runtime(instance_runtime_settings, seeded_random) as runtime:
        yield runtime


@pytest.fixture
def supervisor_options() -> Mapping[str, Any]:
    """Return the options of `supervisor`, as `open_supervisor` has them; override it."""
    return {}


@pytest.fixture
async def supervisor(
    _test_end: TestEnd, supervisor_options: Mapping[str, Any], seeded_random: random.Random
) -> AsyncIterator[Supervisor]:
    """Run a supervisor under the test's clock; it is stopped, and judged, as the runtime is."""
    async with _test_end.supervisor(supervisor_options, seeded_random) as supervisor:
        yield supervisor


@pytest.fixture
def fake_channel(request: pytest.FixtureRequest) -> FakeChannel:
    """A channel without a network.

    Set its ``script``, or parametrize it with one, ``indirect=True``.
    """
    from trio_instances.testing import FakeChannel  # noqa: PLC0415 - see the top

    return FakeChannel(getattr(request, "param", ()))


@pytest.fixture
def fault_schedule(request: pytest.FixtureRequest, seeded_random: random.Random) -> FaultSchedule:
    """An hour of faults, drawn by the seed; parametrize it to have others."""
    from trio_instances.testing import draw_faults  # noqa: PLC0415 - see the top

    faults = draw_faults(seeded_random)
    _notes(request).sections["the faults"] = lambda: repr(faults)
    return faults


# --- the verdict ---------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that passed although what it left behind is not as it should be."""
    result = yield  # a failure of the test itself comes out of here, and is all that is told
    notes = item.stash.get(_NOTES, None)
    if notes is not None and notes.end is not None and (problems := notes.end.unexpected()):
        pytest.fail(_said(problems), pytrace=False)
    return result


def _said(problems: Sequence[str]) -> str:
    if len(problems) == 1:
        return f"the test passed, but {problems[0]}"

    lines = "".join(f"\n  - {problem}" for problem in problems)
    return f"the test passed, but {len(problems)} things are not as they should be:{lines}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show in a failure's report what helps to understand it."""
    report = yield
    notes = item.stash.get(_NOTES, None)
    if notes is not None and report.failed:
        report.sections += [
            (f"trio_instances: {title}", text)
            for title in _ORDER
            if title in notes.sections and (text := notes.sections[title]())
        ]
    if notes is not None and report.when == "teardown":
        del item.stash[_NOTES]  # a plugin may run the test again
    return report
