"""The laws, one class each: what must hold whatever happens."""

from __future__ import annotations

from .attempts import Attempts, Retries
from .base import Law
from .bounds import BoundedConnections, BoundedStops, ToldClosings
from .counters import Counters
from .isolation import Isolation, Recovery
from .lives import Incarnations, NothingRaised, NothingStale, OneAtATime
from .order import Groups, StopOrderOfChildren, StopOrderOfRuntime, TimeGoesOn
from .probes import Probes
from .spending import Budgets, FlatMemory, Intensity
from .statuses import LegalStatuses

LAWS: tuple[type[Law], ...] = (
    NothingRaised,
    LegalStatuses,
    TimeGoesOn,
    OneAtATime,
    Incarnations,
    NothingStale,
    StopOrderOfRuntime,
    StopOrderOfChildren,
    Groups,
    BoundedStops,
    BoundedConnections,
    ToldClosings,
    Attempts,
    Retries,
    Intensity,
    Budgets,
    Probes,
    Counters,
    Isolation,
    Recovery,
    FlatMemory,
)
