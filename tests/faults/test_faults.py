"""Real servers in processes of their own, each with a fault: what an instance does about it.

`table` says what. It is read from what the instance told of itself. Meanwhile two neighbours in the
same runtime talk to a healthy server, and notice nothing: `scene` sees to that.
"""

from __future__ import annotations

import re
import ssl
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio
import trustme
from attrs import evolve

from trio_instances import Instance, InstanceStatus, telemetry
from trio_instances.channels import WebSocketChannel
from trio_instances.policy.health import ProbeVerdict

from .deeds import Play
from .scene import Chatter, Scene, open_scene
from .servers import Server, open_server
from .story import Story
from .table import CLOSES_ALL, LIMIT, TABLE, Row

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the signals are those of POSIX")

DEADLINE = 20.0
"""Seconds after which what is waited for will not come."""
LATE = 3.0
"""Seconds that a busy machine may be late."""
EARLY = 0.01
"""Seconds that two readings of a clock may differ by; otherwise nothing may be too early."""
FLEET = 5
QUIET = 0.3
"""Seconds in which what must not happen has not happened."""


@pytest.fixture
def authority() -> trustme.CA:
    """A certificate authority that no system knows."""
    return trustme.CA()


@pytest.fixture
def certificate(authority: trustme.CA, tmp_path: Path) -> Path:
    """A file with a key and its certificate, for servers on the loopback interface."""
    path = tmp_path / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(path))
    return path


async def enter(
    stack: AsyncExitStack, nursery: trio.Nursery, row: Row, tls: Path | None = None
) -> tuple[Server, Scene]:
    """Open the faulty server of a row, and a runtime with neighbours."""
    server = await stack.enter_async_context(open_server(nursery, *row.server.split(), tls=tls))
    return server, await stack.enter_async_context(open_scene(nursery))


@pytest.mark.parametrize("fault", TABLE)
async def test_an_instance_does_as_the_table_says_when_a_server(
    fault: str, nursery: trio.Nursery, request: pytest.FixtureRequest
) -> None:
    """Nothing else, not sooner, not oftener; and nobody else notices."""
    row = TABLE[fault]
    tls = request.getfixturevalue("certificate") if row.tls else None
    with trio.fail_after(2 * DEADLINE):
        async with AsyncExitStack() as stack:
            server, scene = await enter(stack, nursery, row, tls)
            url = server.url("wss" if row.tls else "ws")
            chatter = Chatter(url, max_message_size=LIMIT, causes=row.causes)
            story = await scene.start("faulty", chatter.channel, row.policy, row.probe)
            await row.deed(Play(server, chatter, story, nursery, stack))
            await see_to_its_end(story, row)

            assert server.connections <= len(story.of(telemetry.InstanceConnecting))
            judge(story, row)


async def see_to_its_end(story: Story, row: Row) -> None:
    """Wait until all that the table says has been told; where it is the end, let nothing follow."""
    told = re.compile(" ".join(row.course.told))
    with trio.move_on_after(DEADLINE):
        await story.wait(lambda: told.fullmatch(story.told))
    if story.instance.status is InstanceStatus.FAILED:
        await trio.sleep(QUIET)

    assert told.fullmatch(story.told)
    assert re.fullmatch(row.course.path, story.path)


def judge(story: Story, row: Row) -> None:
    """Hold a story against its row."""
    assert_times(story, row)
    assert_reasons(story, row)
    assert_health(story.instance, row)


def assert_times(story: Story, row: Row) -> None:
    """Hold the attempts against the row: when each was due, and when it was made."""
    begun = story.of(telemetry.InstanceConnecting)
    scheduled = story.of(telemetry.ReconnectScheduled)
    delays = row.course.delays
    for index, wait in enumerate(scheduled):
        least = delays[min(index, len(delays) - 1)]
        # Where the server named a time, a little more may keep those apart that it told the same.
        most = least if row.retry_after is None else least + row.policy.backoff.cap

        assert least - EARLY <= wait.delay <= most + EARLY
        assert wait.quick == (wait.attempt <= row.policy.attempts)
    for wait, attempt in zip(scheduled, begun[1:], strict=False):
        assert -EARLY <= attempt.at - (wait.at + wait.delay) < LATE

    assert row.after - EARLY <= begun[-1].at - begun[0].at < row.after + LATE


def assert_reasons(story: Story, row: Row) -> None:
    """Hold the causes against the row."""
    assert story.reasons == row.reasons
    for cause in story.ends:
        assert cause.failure_class is row.failure_class
        assert cause.who_must_act is row.who_must_act
        assert cause.retry_after == row.retry_after
    bad_closes = [event.cause.reason for event in story.of(telemetry.HookFailed)]
    assert bad_closes == ["close_timeout"] * row.bad_closes


def assert_health(instance: Instance, row: Row) -> None:
    """Hold against the row what an operator sees who comes to look now."""
    health = instance.health()

    assert health.restarts == 0
    assert (health.next_retry_at is not None) == row.course.told[-1].endswith("scheduled")
    if health.status in (InstanceStatus.DEGRADED, InstanceStatus.FAILED):
        assert health.who_must_act is row.who_must_act
        assert health.cause is not None
        assert health.cause.reason == row.reasons


async def test_a_server_that_closes_all_at_once_gets_all_of_them_back(
    nursery: trio.Nursery,
) -> None:
    """Each of them comes back by itself, and proves itself."""
    row = CLOSES_ALL
    with trio.fail_after(2 * DEADLINE):
        async with AsyncExitStack() as stack:
            server, scene = await enter(stack, nursery, row)
            stories = []
            for number in range(FLEET):
                channel = WebSocketChannel(server.url())
                stories.append(await scene.start(str(number), channel, row.policy, row.probe))
            for story in stories:
                await story.wait_for(telemetry.InstanceProven)
            await server.order("close 1012")
            for story in stories:
                await see_to_its_end(story, row)

                judge(story, row)
            assert server.connections == 2 * FLEET


async def test_a_server_that_only_answers_pings_is_alive_without_data(
    nursery: trio.Nursery,
) -> None:
    """Frames and events are told apart: there are some of the one, and none of the other."""
    row = TABLE["answers pings and sends no events"]
    with trio.fail_after(2 * DEADLINE):
        async with AsyncExitStack() as stack:
            server, scene = await enter(stack, nursery, row)
            channel = WebSocketChannel(server.url())
            story = await scene.start("faulty", channel, row.policy, row.probe)
            await story.wait_for(telemetry.ProbeCompleted, 4)
            health = story.instance.health()
            probes = story.of(telemetry.ProbeCompleted)

            assert {probe.verdict for probe in probes} == {ProbeVerdict.OK}
            assert health.since_event is None
            assert health.since_frame is not None
            assert health.since_frame < health.uptime


async def test_a_server_that_only_answers_pings_proves_nothing_where_data_is_needed(
    nursery: trio.Nursery,
) -> None:
    """The connection is kept, and the attempts before it are not forgotten."""
    row = TABLE["answers pings and sends no events"]
    with trio.fail_after(2 * DEADLINE):
        async with AsyncExitStack() as stack:
            server, scene = await enter(stack, nursery, row)
            policy = evolve(row.policy, needs_data=True)
            channel = WebSocketChannel(server.url())
            story = await scene.start("faulty", channel, policy, row.probe)
            await story.wait_for(telemetry.ProbeCompleted, 4)

            assert story.told == "connecting connected"
            assert not story.instance.health().proven
            assert story.instance.health().attempt == 1


async def test_a_certificate_of_a_known_authority_lets_the_instance_in(
    nursery: trio.Nursery, authority: trustme.CA, certificate: Path
) -> None:
    """It is the certificate that the table's row is about, and nothing else about TLS."""
    row = TABLE["has a certificate that nobody knows"]
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with trio.fail_after(2 * DEADLINE):
        async with AsyncExitStack() as stack:
            server, scene = await enter(stack, nursery, row, certificate)
            chatter = Chatter(server.url("wss"), ssl_context=context)
            story = await scene.start("faulty", chatter.channel, row.policy, row.probe)
            await chatter.go_on()

            assert story.told == "connecting connected"


async def test_the_scene_fails_a_test_whose_neighbours_were_disturbed(
    nursery: trio.Nursery,
) -> None:
    """What every test here relies on: a neighbour that only reconnects has noticed something."""
    with trio.fail_after(DEADLINE), pytest.raises(AssertionError, match="reconnect_requested"):
        async with open_scene(nursery) as scene:
            scene.runtime.instance("left").reconnect()


async def test_a_server_ends_with_whoever_started_it(nursery: trio.Nursery) -> None:
    """Nothing is left behind, however a test ends: the end of its input is a server's end."""
    with trio.fail_after(DEADLINE):
        async with open_server(nursery, "echo") as server:
            assert await server.dismiss() == 0
