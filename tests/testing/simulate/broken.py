"""For each sentence of each law a story that is told falsely in one place."""

from __future__ import annotations

from attrs import evolve

from trio_instances import Cause, InstanceStatus, Strategy
from trio_instances.policy.health import ProbeVerdict
from trio_instances.telemetry import (
    ChildStartFailed,
    HookFailed,
    InstanceDegraded,
    InstanceFailed,
    InstanceHandedOver,
    ReconnectExhausted,
    RuntimeStopping,
)
from trio_instances.testing.simulate.facts import (
    Asked,
    Counted,
    Cut,
    Ending,
    Opened,
    Over,
    Raised,
    Stale,
)
from trio_instances.testing.simulate.laws.attempts import Attempts, Retries
from trio_instances.testing.simulate.laws.base import Law
from trio_instances.testing.simulate.laws.bounds import (
    BoundedConnections,
    BoundedStops,
    ToldClosings,
)
from trio_instances.testing.simulate.laws.counters import Counters
from trio_instances.testing.simulate.laws.isolation import Isolation, Recovery
from trio_instances.testing.simulate.laws.lives import (
    Incarnations,
    NothingRaised,
    NothingStale,
    OneAtATime,
)
from trio_instances.testing.simulate.laws.order import (
    Groups,
    StopOrderOfChildren,
    StopOrderOfRuntime,
    TimeGoesOn,
)
from trio_instances.testing.simulate.laws.probes import Probes
from trio_instances.testing.simulate.laws.spending import Budgets, FlatMemory, Intensity
from trio_instances.testing.simulate.laws.statuses import LegalStatuses
from trio_instances.testing.simulate.world import Happening, What, World

from .story import (
    BORN,
    ENDED,
    HINT,
    OPEN,
    STARTED,
    Story,
    budgeted,
    gives_up,
    instance_ends,
    instance_stops,
    weighed,
)
from .streams import (
    ESCALATING,
    FATAL,
    GONE,
    PLAIN,
    again,
    because,
    child,
    connected,
    connecting,
    down,
    enter,
    failed,
    leave,
    looked,
    lost,
    parked,
    probed,
    proven,
    restarting,
    scheduled,
    status,
    stopping,
    told,
    up,
    world,
)

BROKEN: list[tuple[type[Law], World, Story, str]] = [
    (NothingRaised, world(), [Raised(at=1.0, text="KeyError: 1")], "KeyError: 1"),
    # --- statuses
    (
        LegalStatuses,
        world(),
        [BORN, status(0.0, "stopped", "starting"), status(0.0, "starting", "connected")],
        "bot: starting to connected",
    ),
    (
        LegalStatuses,
        world(),
        [BORN, status(0.0, "stopped", "starting"), status(0.0, "paused", "stopping")],
        "bot was starting, the event says paused",
    ),
    (
        LegalStatuses,
        world(),
        [BORN, status(0.0, "stopped", "starting"), status(5.0, "starting", "paused", 4.0)],
        "bot was starting since 0.0, not for 4.0 s",
    ),
    (LegalStatuses, world(), [BORN, looked(1.0)], "bot is connected, its events say stopped"),
    (
        LegalStatuses,
        world(),
        [BORN, status(0.0, "stopped", "starting"), BORN],
        "bot begins while starting",
    ),
    # --- time
    (TimeGoesOn, world(), [up(2.0), up(1.0)], "child.started comes after an event at 2.0"),
    (TimeGoesOn, world(), [ENDED, up(9.0)], "child.started of bot after the end of the runtime"),
    # --- lives
    (
        OneAtATime,
        world(),
        [enter(0.0, "connect"), enter(0.0, "worker"), enter(0.0, "worker")],
        "worker 1 of bot runs 2 times",
    ),
    (
        OneAtATime,
        world(),
        [enter(0.0, "connect"), enter(0.0, "connect", 2)],
        "connect 2 of bot beside {1, 2}",
    ),
    (
        OneAtATime,
        world(),
        [enter(0.0, "connect"), enter(0.0, "worker"), leave(1.0, "connect")],
        "worker outlives connection 1 of bot",
    ),
    (OneAtATime, world(), [enter(0.0, "probe")], "probe 1 of bot runs without its connection"),
    (
        OneAtATime,
        world(),
        [enter(0.0, "own", 0), Over(at=1.0)],
        "left behind: [(1, 0, 'own')] {}",
    ),
    (OneAtATime, world(), [enter(0.0, "connect"), Over(at=1.0)], "left behind: [] {1: {1}}"),
    (
        Incarnations,
        world(),
        [up(0.0), up(0.0, incarnation=2)],
        "runtime/bot/connection/worker starts twice: 2",
    ),
    (
        Incarnations,
        world(),
        [up(0.0, incarnation=2), down(0.0, incarnation=2), up(0.0, incarnation=2)],
        "runtime/bot/connection/worker: incarnation 2 comes again",
    ),
    (Incarnations, world(), [down(0.0)], "runtime/bot/connection/worker: 1 ends, None was up"),
    (
        Incarnations,
        world(),
        [up(0.0), child(ChildStartFailed, 1.0, "worker", incarnation=2, cause=GONE)],
        "runtime/bot/connection/worker fails to start, and runs",
    ),
    (
        Incarnations,
        world(),
        [up(0.0), restarting(1.0)],
        "runtime/bot/connection/worker is told to be child.restarting, and runs",
    ),
    (
        Incarnations,
        world(),
        [up(0.0), ENDED],
        "started and never ended: {('runtime/bot/connection/worker', 1): 1}",
    ),
    (NothingStale, world(), [Stale(at=0.0, instance_id="bot", what="a thing")], "bot: a thing"),
    # --- order
    (
        StopOrderOfRuntime,
        world(),
        [
            Ending(at=1.0, ids=("a", "b")),
            RuntimeStopping(at=1.0, instances=2),
            instance_stops(1.0, "a"),
            instance_ends(1.0, "a"),
            instance_stops(2.0, "b"),
        ],
        "b is out of its turn",
    ),
    (
        StopOrderOfRuntime,
        world(),
        [
            Ending(at=1.0, ids=("a", "b")),
            RuntimeStopping(at=1.0, instances=2),
            instance_stops(1.0, "b"),
            instance_stops(1.0, "a"),
        ],
        "a beside {'b'}",
    ),
    (
        StopOrderOfRuntime,
        world(),
        [
            Ending(at=1.0, ids=("b",)),
            RuntimeStopping(at=1.0, instances=1),
            instance_stops(1.0, "b"),
            ENDED,
        ],
        "{'b'} were asked to stop only",
    ),
    (
        StopOrderOfChildren,
        world(),
        [up(0.0, "reader"), up(0.0), stopping(1.0, "reader")],
        "runtime/bot/connection/reader is asked to stop before {'worker'}",
    ),
    (
        Groups,
        world(evolve(PLAIN, strategy=Strategy.REST_FOR_ONE)),
        [
            up(0.0, "reader"),
            up(0.0),
            down(1.0, "reader"),
            restarting(1.0, "reader"),
            up(1.0, "reader", incarnation=2),
        ],
        "runtime/bot/connection/reader begins again before {'worker'} have ended",
    ),
    (BoundedStops, world(), [instance_ends(9.0, "bot", 99.0)], "bot took 99 s of 60"),
    (
        BoundedConnections,
        world(),
        [enter(0.0, "connect"), Opened(at=31.0, instance_id="bot", number=1, channel=1)],
        "bot attempts for 31 s of 30",
    ),
    (
        BoundedConnections,
        world(),
        [enter(0.0, "connect"), leave(31.0, "connect")],
        "bot attempts for 31 s of 30",
    ),
    (
        BoundedConnections,
        world(),
        [
            enter(0.0, "connect"),
            Opened(at=1.0, instance_id="bot", number=1, channel=1),
            lost(50.0, 1),
            leave(71.0, "connect"),
        ],
        "bot closes for 21 s of 20",
    ),
    # --- attempts
    (
        Attempts,
        world(),
        [BORN, connecting(0.0, 1), connecting(1.0, 3, 2)],
        "bot: generation 3 comes after 1",
    ),
    (
        Attempts,
        world(),
        [BORN, *OPEN, connecting(2.0, 2, 2)],
        "bot connects while 1 is open",
    ),
    (
        Attempts,
        world(),
        [BORN, *OPEN, lost(9.0, 1), connecting(9.0, 2, 1)],
        "bot: attempt 1 comes after 1",
    ),
    (
        Attempts,
        world(),
        [BORN, *OPEN, lost(9.0, 1, FATAL), connecting(9.0, 2, 2)],
        "bot has failed, and connects",
    ),
    (
        Attempts,
        world(),
        [BORN, connecting(0.0, 1), failed(1.0, 1, FATAL), connecting(9.0, 2, 2)],
        "bot has failed, and connects",
    ),
    (
        Attempts,
        world(),
        [BORN, *OPEN, lost(2.0, 1), told(InstanceFailed, 2.0, cause=FATAL), connecting(9.0, 2, 2)],
        "bot has failed, and connects",
    ),
    (Attempts, world(), [BORN, again(0.0, 1)], "bot attempts beside its connection"),
    (Attempts, world(), [BORN, connecting(0.0, 1), connected(0.0, 2)], "bot: 2 opens, 1 was due"),
    (
        Attempts,
        world(evolve(PLAIN, overlaps=True)),
        [BORN, *OPEN, connected(2.0, 2)],
        "bot: 2 opens beside 1",
    ),
    (
        Attempts,
        world(),
        [BORN, connecting(0.0, 1), connected(0.0, 1, 2)],
        "bot: attempt 1 opens as 2",
    ),
    (
        Attempts,
        world(),
        [BORN, told(InstanceHandedOver, 0.0, generation=2, previous=1, uptime=1.0)],
        "bot hands 1 over, None is open",
    ),
    (Attempts, world(), [BORN, *OPEN, proven(70.0, 2)], "bot: 2 is proven, 1 is open"),
    (Attempts, world(), [BORN, *OPEN, proven(31.0, 1)], "bot is proven after 30.0 s of 60.0"),
    (Attempts, world(), [BORN, *OPEN, lost(9.0, 2)], "bot: 2 is lost, 1 is open"),
    # --- retries
    (
        Retries,
        world(),
        [BORN, scheduled(0.0, 2.0, 2), connecting(1.0, 1)],
        "bot was to wait until 2.0",
    ),
    (
        Retries,
        world(),
        [BORN, scheduled(0.0, 1.0, 2)],
        "bot waits 1.0 s before attempt 2: 2.0 to 2.0",
    ),
    (
        Retries,
        world(),
        [BORN, scheduled(0.0, 99.0, 3, quick=False)],
        "bot waits 99.0 s before attempt 3: 30.0 to 60.0",
    ),
    (
        Retries,
        world(),
        [BORN, scheduled(0.0, 1.0, 2, cause=HINT)],
        "bot waits 1.0 s before attempt 2: 10.0 to 10.0",
    ),
    (Retries, world(), [BORN, scheduled(0.0, 4.0, 3)], "bot: quick attempt 3 of 2"),
    (
        Retries,
        world(ESCALATING),
        [BORN, scheduled(0.0, 60.0, 3, quick=False)],
        "bot: quick attempt 3 of 2",
    ),
    (
        Retries,
        world(),
        [BORN] + 2 * [told(ReconnectExhausted, 0.0, attempts=2, cause=GONE)],
        "bot is exhausted again",
    ),
    # --- spending
    (
        Intensity,
        world(),
        [restarting(0.0), restarting(5.0), restarting(10.0)],
        "runtime/bot/connection/worker: 3 restarts within 10.0 s, 2 are allowed",
    ),
    (
        Intensity,
        world(),
        [restarting(0.0), gives_up(1.0)],
        "runtime/bot/connection gives up after 1 restarts within 10.0 s, 2 are allowed",
    ),
    (
        Intensity,
        world(),
        [restarting(0.0, cause=FATAL)],
        "runtime/bot/connection/worker is restarted after drop#1 (fatal)",
    ),
    (
        Intensity,
        world(),
        [restarting(0.0, path="runtime/bot", generation=None)] * 7,
        "runtime/bot: 7 restarts within 30.0 s, 6 are allowed",
    ),
    (
        Budgets,
        budgeted(),
        [STARTED, *(enter(0.5, "connect", number) for number in range(3))],
        "site: 1 attempts ahead of its rate",
    ),
    (
        Budgets,
        budgeted(in_flight=1),
        [STARTED, enter(0.0, "connect"), enter(0.0, "connect", 2)],
        "site: 2 in flight of 1",
    ),
    (
        Budgets,
        budgeted(attempts_per_day=1),
        [STARTED, enter(0.0, "connect"), enter(9.0, "connect", 2)],
        "site: 2 attempts of 1 a day",
    ),
    (
        FlatMemory,
        world(),
        [STARTED, weighed(1.0, 50), weighed(2.0, 70)],
        "70 objects of ('bot',), 50 at first",
    ),
    # --- probes
    (
        Probes,
        world(),
        [BORN, connected(0.0, 2), probed(9.0, 1)],
        (
            "bot: a verdict about 1, _Row(generation=2, at=0.0, good=None, streak=0, "
            "recoverable=0, passed=False) is open"
        ),
    ),
    (
        Probes,
        world(),
        [BORN, connected(0.0, 1), probed(9.0, 2)],
        "bot: a row of 2, 1 are told",
    ),
    (
        Probes,
        world(),
        [BORN, connected(0.0, 1), probed(9.0, 1, latency=6.0)],
        "bot: a probe took 6.0 s of 5.0",
    ),
    (
        Probes,
        world(),
        [BORN, connected(0.0, 1), probed(9.0, 1, latency=5.0)],
        "bot: a probe took all of its time, and passed",
    ),
    (
        Probes,
        world(),
        [BORN, connected(0.0, 1), probed(9.0, 1, GONE, verdict=ProbeVerdict.OK)],
        "bot: ok by drop#1 (recoverable)",
    ),
    (
        Probes,
        world(),
        [BORN, connected(0.0, 1), probed(9.0, 1, GONE), probed(19.0, 2, GONE), looked(19.0)],
        "bot is connected after 2 failed probes",
    ),
    (
        Probes,
        world(),
        [BORN, connected(0.0, 1), looked(100.0)],
        "bot: a probe is 30 s overdue",
    ),
    # --- counters
    (
        Counters,
        world(),
        [BORN, connected(0.0, 1), looked(1.0)],
        "bot: status is connected, the events say stopped",
    ),
    *(
        (
            Counters,
            world(),
            [BORN, status(0.0, "stopped", "connected"), connected(0.0, 1), looked(1.0, **wrong)],
            said,
        )
        for wrong, said in (
            ({"connected": False}, "bot: connected is False, the events say True"),
            ({"reconnects": 1}, "bot: reconnects is 1, the events say 0"),
            ({"reconnect_attempts": 1}, "bot: reconnect_attempts is 1, the events say 0"),
            ({"restarts": 1}, "bot: restarts is 1, the events say 0"),
            ({"proven": True}, "bot: proven is True, the events say False"),
            (
                {"degraded": because("probe")},
                "bot: degraded by {'probe': 0.0}, the events say {}",
            ),
            ({"failures_in_a_row": 1}, "bot: 1 failures in a row, it was told of 0"),
            ({"children_running": 1}, "bot: its children are miscounted"),
        )
    ),
    (
        Counters,
        world(),
        [BORN, status(0.0, "stopped", "connected"), up(0.0), connected(0.0, 1), looked(1.0)],
        "bot: [] run, the events say [(True, 'worker')]",
    ),
    (
        Counters,
        world(),
        [BORN, Counted(at=1.0, total=1, by_status={InstanceStatus.FAILED: 1}, ids=("bot",))],
        (
            "{<InstanceStatus.FAILED: 'failed'>: 1} of 1, the events say "
            "{<InstanceStatus.STOPPED: 'stopped'>: 1}"
        ),
    ),
    (
        Counters,
        world(),
        [
            BORN,
            status(0.0, "stopped", "degraded"),
            connected(0.0, 1),
            told(InstanceDegraded, 5.0, what="probe", cause=GONE),
            looked(6.0, "degraded", connected=True, degraded=because("probe")),
        ],
        "bot: degraded by {'probe': 0.0}, the events say {'probe': 5.0}",
    ),
    (
        Counters,
        world(),
        [
            BORN,
            status(0.0, "stopped", "connected"),
            connected(0.0, 1),
            Asked(at=1.0, instance_id="bot", verb="report"),
            Asked(at=2.0, instance_id="bot", verb="succeed"),
            Asked(at=3.0, instance_id="bot", verb="report"),
            looked(4.0, failures_in_a_row=20),
        ],
        "bot: 20 failures in a row, it was told of 10",
    ),
    *(
        (
            ToldClosings,
            world(),
            [Cut(at=60.0, instance_id="bot", after=after), later],
            "bot was cut while it closed at 60 s, which nothing has told",
        )
        for after, later in (
            (10.0, looked(60.0)),
            (1.0, instance_ends(61.0, "bot")),
            (10.0, Over(at=60.0)),
        )
    ),
    # --- isolation and recovery
    (
        Isolation,
        world(),
        [lost(100.0, 1, Cause("recoverable", "http_503"))],
        "bot: instance.disconnected by http_503 (recoverable), which nothing led to",
    ),
    (
        Isolation,
        world(),
        [lost(99.0, 1)],
        "bot: instance.disconnected by drop#1 (recoverable), which nothing led to",
    ),
    (
        Isolation,
        world(),
        [lost(300.0, 2, uptime=100.0)],
        "bot: instance.disconnected by drop#1 (recoverable), which nothing led to",
    ),
    (
        Isolation,
        world(schedule=(Happening(number=1, at=100.0, what=What.DROP, target="other"),)),
        [parked(100.0)],
        "bot: child.parked by drop#1 (recoverable), which nothing led to",
    ),
    (
        Isolation,
        world(),
        [told(InstanceDegraded, 100.0, what="probe", cause=Cause("recoverable", "probe_timeout"))],
        "bot: instance.degraded by probe_timeout (recoverable), which nothing led to",
    ),
    (
        Isolation,
        world(),
        [HookFailed(at=1.0, hook="sink", path="x", cause=GONE)],
        "None: hook.failed by drop#1 (recoverable), which nothing led to",
    ),
    (
        Isolation,
        world(),
        [connected(9.0, 1, elapsed=3.0)],
        "bot connects in 3.0 s, not in 0.0 s",
    ),
    (
        Recovery,
        world(),
        [looked(9_000.0, "reconnecting")],
        "bot is reconnecting after 8900 s of calm, of 905",
    ),
    (
        Recovery,
        world(),
        [looked(9_000.0, degraded=because("probe"))],
        "bot is degraded by ['probe'] after 8900 s of calm",
    ),
]
"""A law, a world, a story that breaks it, and what is said of that."""
