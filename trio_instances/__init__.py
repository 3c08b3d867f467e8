"""Supervised, long-lived channel instances on Trio.

The map. Policy decides, mechanism acts; plain names are for users, underscored ones are mechanism,
and imports run one way, downwards:

    ======================  ====================================================================
    ``testing``, ``_cli``   what tests and terminals use
    ``http``                the operations endpoint and its page
    ``_runtime``            many instances: registry, configuration, `open_runtime`
    ``_instance``           one instance: its connection loop, its probes, its handle
    ``_supervision``        child tasks in nurseries: `open_supervisor`, the ordered stop
    ``telemetry``           what happened: events, the bus, sinks
    ``channels``            what an instance talks to: one module for each kind
    ``abc``                 what a user implements: a channel, a sink
    ``policy``              what should happen: pure decisions, and the values that configure them
    ``_exceptions``         every error, by who is to blame
    ======================  ====================================================================
"""

from __future__ import annotations

import attrs as _attrs

from ._exceptions import (
    ChannelError,
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildDeclined,
    ChildError,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    ChildStartFailed,
    Escalation,
    FatalChildFailure,
    InstanceAlreadyStarted,
    InstanceError,
    InstanceFailed,
    InstanceNotFound,
    InstanceStopped,
    InvalidSpec,
    MaxChildrenReached,
    Mistake,
    RestartLimitExceeded,
    StartTimedOut,
    SupervisionError,
    SupervisorNotRunning,
    TrioInstancesError,
)
from ._instance.budget import ConnectionBudget
from ._instance.handle import Instance
from ._instance.spec import InstanceSpec
from ._instance.thread_probe import thread_probe
from ._runtime.applying import Applied
from ._runtime.counts import InstanceCounts
from ._runtime.down import wait_all_down
from ._runtime.init_system import InitSystem
from ._runtime.notifying import notify_init_system
from ._runtime.opening import open_runtime
from ._runtime.runtime import Runtime
from ._runtime.settings import OnInstanceFailure, RuntimeSettings
from ._supervision.context import current_child_path, until_stopped
from ._supervision.log_context import add_log_context, log_context
from ._supervision.opening import open_supervisor, supervise
from ._supervision.record import Child, ChildCounts, ChildInfo
from ._supervision.stalls import StallWatch, watch_stalls
from ._supervision.stop_report import ChildStop, StopReport
from ._supervision.supervisor import Supervisor
from ._supervision.tree import ChildTree, SupervisorTree
from .policy.backoff import Backoff, Jitter
from .policy.breaker import BreakerPhase, BreakerPolicy
from .policy.budget import BudgetPolicy
from .policy.causes.defaults import classify_failure
from .policy.concerns import Concern, ConcernKind
from .policy.crash_loop import CrashLoop, Trips
from .policy.failures import Cause, FailureClass, ProbeTimedOut, WhoMustAct
from .policy.health import BudgetHealth, HealthSnapshot, ProbePolicy
from .policy.intensity import RestartIntensity
from .policy.notices import InitPolicy
from .policy.plan import FleetPlan, InstancePlan, OutagePlan, Plan, plan
from .policy.pressure import PressureLevel, PressurePolicy
from .policy.reconnect import Exhausted, ReconnectPolicy
from .policy.restart import ChildState, RestartType
from .policy.specs import ChildSpec
from .policy.stalls import LoopHealth, LoopShares
from .policy.standing import Standing
from .policy.status import InstanceStatus
from .policy.strategies import AutoShutdown, StopOrder, Strategy

__version__ = "0.1.0"

__all__ = [
    "Applied",
    "AutoShutdown",
    "Backoff",
    "BreakerPhase",
    "BreakerPolicy",
    "BudgetHealth",
    "BudgetPolicy",
    "Cause",
    "ChannelError",
    "Child",
    "ChildAlreadyPresent",
    "ChildAlreadyStarted",
    "ChildCounts",
    "ChildDeclined",
    "ChildError",
    "ChildInfo",
    "ChildNotFound",
    "ChildRestarting",
    "ChildRunning",
    "ChildSpec",
    "ChildStartFailed",
    "ChildState",
    "ChildStop",
    "ChildTree",
    "Concern",
    "ConcernKind",
    "ConnectionBudget",
    "CrashLoop",
    "Escalation",
    "Exhausted",
    "FailureClass",
    "FatalChildFailure",
    "FleetPlan",
    "HealthSnapshot",
    "InitPolicy",
    "InitSystem",
    "Instance",
    "InstanceAlreadyStarted",
    "InstanceCounts",
    "InstanceError",
    "InstanceFailed",
    "InstanceNotFound",
    "InstancePlan",
    "InstanceSpec",
    "InstanceStatus",
    "InstanceStopped",
    "InvalidSpec",
    "Jitter",
    "LoopHealth",
    "LoopShares",
    "MaxChildrenReached",
    "Mistake",
    "OnInstanceFailure",
    "OutagePlan",
    "Plan",
    "PressureLevel",
    "PressurePolicy",
    "ProbePolicy",
    "ProbeTimedOut",
    "ReconnectPolicy",
    "RestartIntensity",
    "RestartLimitExceeded",
    "RestartType",
    "Runtime",
    "RuntimeSettings",
    "StallWatch",
    "Standing",
    "StartTimedOut",
    "StopOrder",
    "StopReport",
    "Strategy",
    "SupervisionError",
    "Supervisor",
    "SupervisorNotRunning",
    "SupervisorTree",
    "TrioInstancesError",
    "Trips",
    "WhoMustAct",
    "add_log_context",
    "classify_failure",
    "current_child_path",
    "log_context",
    "notify_init_system",
    "open_runtime",
    "open_supervisor",
    "plan",
    "supervise",
    "thread_probe",
    "until_stopped",
    "wait_all_down",
    "watch_stalls",
]

# Tracebacks and reprs show the path that a user imports. The types of attrs classes are resolved
# first: they are looked up in the module in which a class says it lives.
for _name in __all__:
    _public = globals()[_name]
    if isinstance(_public, type) and _attrs.has(_public):
        _attrs.resolve_types(_public)
    _public.__module__ = __name__
