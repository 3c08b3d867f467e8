"""For each law a story that keeps it."""

from __future__ import annotations

from attrs import evolve

from trio_instances import InstanceStatus, Strategy
from trio_instances.policy.status import DegradedReason
from trio_instances.telemetry import (
    HookFailed,
    InstanceDegraded,
    RuntimeStarted,
    RuntimeStopping,
)
from trio_instances.testing.simulate.facts import (
    Asked,
    Counted,
    Cut,
    Ending,
    Opened,
    Over,
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
from trio_instances.testing.simulate.world import World

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
    GONE,
    PLAIN,
    again,
    connected,
    connecting,
    down,
    enter,
    leave,
    looked,
    lost,
    probed,
    proven,
    restarting,
    scheduled,
    status,
    stopped,
    stopping,
    told,
    up,
    world,
)

HURT = {"connected": True, "degraded": (DegradedReason("failures", GONE, 2.0),)}
"""What a snapshot says of an instance that is degraded by failures since the second second."""

KEPT: list[tuple[type[Law], World, Story]] = [
    (NothingRaised, world(), [STARTED]),
    (
        LegalStatuses,
        world(),
        [BORN, status(0.0, "stopped", "starting"), status(2.0, "starting", "connecting", 2.0)],
    ),
    (TimeGoesOn, world(), [STARTED, up(1.0), up(1.0), ENDED, RuntimeStarted(at=9.0)]),
    (
        OneAtATime,
        world(),
        [
            enter(0.0, "connect"),
            enter(0.0, "worker"),
            leave(1.0, "worker"),
            leave(1.0, "connect"),
            enter(1.0, "connect", 2),
            leave(2.0, "connect", 2),
            Over(at=2.0),
        ],
    ),
    (
        Incarnations,
        world(),
        [
            up(0.0),
            down(1.0),
            restarting(1.0),
            up(1.0, incarnation=2),
            stopped(2.0, incarnation=2),
            ENDED,
        ],
    ),
    (NothingStale, world(), [enter(0.0, "connect")]),
    (
        StopOrderOfRuntime,
        world(),
        [
            Ending(at=1.0, ids=("a", "b")),
            RuntimeStopping(at=1.0, instances=2),
            instance_stops(1.0, "b"),
            instance_ends(2.0, "b"),
            instance_stops(2.0, "a"),
            instance_ends(3.0, "a"),
            ENDED,
        ],
    ),
    (
        StopOrderOfChildren,
        world(),
        [up(0.0, "reader"), up(0.0), stopping(1.0), stopped(1.0), stopping(1.0, "reader")],
    ),
    (
        Groups,
        world(evolve(PLAIN, strategy=Strategy.ONE_FOR_ALL)),
        [
            up(0.0, "reader"),
            up(0.0),
            down(1.0),
            restarting(1.0),
            stopped(1.0, "reader"),
            up(1.0, "reader", incarnation=2),
            up(1.0, incarnation=2),
        ],
    ),
    (BoundedStops, world(), [instance_ends(9.0, "bot", 12.0)]),
    (
        BoundedConnections,
        world(),
        [
            enter(0.0, "connect"),
            Opened(at=30.0, instance_id="bot", number=1, channel=1),
            lost(50.0, 1),
            leave(69.0, "connect"),
        ],
    ),
    (
        ToldClosings,
        world(),
        [
            Cut(at=60.0, instance_id="bot", after=10.0),
            told(HookFailed, 60.0, hook="close", path="bot", cause=GONE),
            Cut(at=70.0, instance_id="bot", after=3.0),
            stopping(75.0, "connection"),
            Cut(at=75.0, instance_id="bot", after=1.0),
            stopping(77.0, "bot"),
            Cut(at=77.0, instance_id="bot", after=1.0),
            looked(70.0),
            Over(at=80.0),
        ],
    ),
    (
        Attempts,
        world(),
        [
            BORN,
            *OPEN,
            lost(9.0, 1),
            connecting(9.0, 2, 2),
            again(9.0, 2, 2),
            connected(9.0, 2, 2),
            proven(69.0, 2),
            lost(80.0, 2),
            connecting(80.0, 3, 1),
        ],
    ),
    (
        Retries,
        world(),
        [
            BORN,
            scheduled(0.0, 2.0, 2),
            connecting(2.0, 2),
            scheduled(9.0, 45.0, 3, quick=False),
            scheduled(60.0, 10.0, 2, cause=HINT),
            connecting(70.0, 3),
        ],
    ),
    (Intensity, world(), [restarting(0.0), restarting(1.0), gives_up(2.0), restarting(99.0)]),
    (
        Budgets,
        budgeted(in_flight=1),
        [
            STARTED,
            enter(0.0, "connect"),
            leave(0.0, "connect"),
            enter(0.0, "connect", 2),
            Opened(at=0.5, instance_id="bot", number=2, channel=1),
            enter(1.0, "connect", 3),
        ],
    ),
    (
        Probes,
        world(),
        [
            STARTED,
            BORN,
            connected(0.0, 1),
            probed(10.0, 1),
            probed(70.0, 2),
            looked(120.0),
            probed(130.0, 1, GONE),
            looked(131.0),
        ],
    ),
    (
        Counters,
        world(),
        [
            BORN,
            status(0.0, "stopped", "connected"),
            connected(0.0, 1),
            looked(1.0),
            Asked(at=2.0, instance_id="bot", verb="report"),
            told(InstanceDegraded, 2.0, what="failures", cause=GONE),
            status(2.0, "connected", "degraded"),
            looked(3.0, "degraded", **HURT, failures_in_a_row=10),
            status(4.0, "degraded", "starting"),
            status(4.0, "starting", "connected"),
            looked(4.0, failures_in_a_row=10),
            status(5.0, "connected", "stopping"),
            status(5.0, "stopping", "starting"),
            status(5.0, "starting", "connected"),
            looked(5.0),
            Counted(at=1.0, total=1, by_status={InstanceStatus.CONNECTED: 1}, ids=("bot",)),
        ],
    ),
    (Isolation, world(), [connected(9.0, 1), lost(100.0, 1, uptime=91.0), up(101.0)]),
    (Recovery, world(), [looked(90.0), looked(300.0, "reconnecting"), looked(9_000.0)]),
    (FlatMemory, world(), [STARTED, weighed(1.0, 50), weighed(2.0, 60)]),
]
"""A law, a world, and what happens in it that breaks nothing."""
