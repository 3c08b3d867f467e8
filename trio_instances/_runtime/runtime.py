"""Many instances, isolated from each other: start, stop, ask."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import final

import trio

from .._exceptions import (
    ChildNotFound,
    ChildRunning,
    InstanceAlreadyStarted,
    InstanceNotFound,
    InvalidSpec,
    Mistake,
    SupervisorNotRunning,
)
from .._instance.handle import Instance
from .._instance.life_signs import LifeSigns
from .._instance.probe_schedule import ProbeSchedule
from .._instance.record import InstanceRecord
from .._instance.spec import InstanceSpec
from .._instance.subtree import run_instance
from .._instance.watching import Lookout
from .._supervision.core import Core
from .._supervision.starting import refuse_to_wait_for_itself
from .._supervision.supervisor import Supervisor
from ..policy.desired import changes
from ..policy.signals import Phase, SignalKind
from ..policy.specs import ChildSpec
from ..policy.status import Change, InstanceStatus
from ..telemetry.events import InstanceCredentialsUpdated
from ..telemetry.sinks.feed import SinkFeed
from .applying import Applied, check_wanted, perform, tell_applied
from .channel_users import ChannelUsers
from .ending import RuntimeEnding
from .questions import Questions
from .settings import OnInstanceFailure, RuntimeSettings

_DOWN = frozenset({InstanceStatus.STOPPED, InstanceStatus.STOPPING})
"""Of these nothing runs, or soon nothing will, and nobody said why: a pass starts them anew."""


@final
class Runtime(Questions):
    """The authority over many instances. `open_runtime` makes it.

    What happens in one instance changes nothing in another: each has a subtree, counters and a
    restart intensity of its own.
    """

    def __init__(
        self,
        settings: RuntimeSettings,
        supervisor: Supervisor,
        core: Core,
        ending: RuntimeEnding,
        *,
        schedule: ProbeSchedule,
        lookout: Lookout,
        feeds: Sequence[SinkFeed] = (),
    ) -> None:
        super().__init__(core, feeds)
        self.settings: RuntimeSettings = settings
        self.ending: RuntimeEnding = ending
        """How far its end is."""
        self._supervisor = supervisor
        self._schedule = schedule
        self._lookout = lookout
        self._users = ChannelUsers(core)
        self._applying = trio.Lock()

    def __repr__(self) -> str:
        return f"<Runtime {self.settings.name!r} instances={len(self._records)}>"

    # --- verbs -----------------------------------------------------------------------------------

    async def start_instance(self, spec: InstanceSpec) -> Instance:
        """Start an instance, and wait until its own children are ready and it begins to connect.

        Whether it gets a connection is told by its status; see `Instance.wait_status`.

        Cancelling it stops what was begun, waits for its end, and keeps nothing.

        Args:
            spec: What it is.

        Returns:
            Its handle.

        Raises:
            InvalidSpec: It is no `InstanceSpec`.
            InstanceAlreadyStarted: The id is in use; or the channel object is, also where that is
                in another runtime of this process.
            ChildStartFailed: An essential child of the instance failed before it was ready, or the
                instance was stopped before; nothing is kept.
            SupervisorNotRunning: The runtime has ended, or ends meanwhile.
        """
        self._check_free(spec)
        signs = LifeSigns(self._schedule)
        record = InstanceRecord(spec, self._core, signs, self._lookout)
        record.handle = Instance(record)
        self._records[spec.id] = record
        self._users.take(spec.channel, spec.id)
        record.change(Change.START)  # who hears of it can ask for it already
        try:
            await self._supervisor.start_child(self._child_spec(record))
        except BaseException:
            await self._forget(record)
            raise

        return record.handle

    async def stop_instance(self, instance_id: str) -> None:
        """Stop an instance and forget it. Everything in it ends first, in reverse start order.

        Cancelling it ends the waiting: the instance stops, and stays listed as stopped until this
        is called again.

        Args:
            instance_id: Its id.

        Raises:
            InstanceNotFound: There is none of this id.
            SupervisorNotRunning: The runtime has ended, or is ending.
        """
        record = self._find(instance_id)
        # Again and again, because somebody else may restart it, or forget it and start another one.
        while self._records.get(instance_id) is record:
            await self._supervisor.terminate_child(instance_id)
            await self._forget(record)
            await trio.lowlevel.checkpoint()

    async def restart_instance(self, instance_id: str) -> Instance:
        """Stop an instance if it runs, and start it anew; this also wakes one that has failed.

        Its counters are kept; its attempts count from nothing, and a pause is over, unless it comes
        while the instance stops.

        Of two at once, one restarts it, and the other returns when that has begun.

        Cancelling it while the instance stops leaves it stopped; while it starts, the start is
        undone.

        Args:
            instance_id: Its id.

        Raises:
            InstanceNotFound: There is none of this id, or it was stopped meanwhile.
            InstanceAlreadyStarted: Another instance runs on its channel object, which it was given
                by an `apply` that did not come to its end.
            ChildStartFailed: An essential child of the instance failed before it was ready, or the
                instance was stopped before.
            SupervisorNotRunning: The runtime has ended, or ends meanwhile.
        """
        record = self._find(instance_id)
        record.end_pause()
        await self._restart(record, self._renew)
        return record.handle

    async def update_credentials(self, instance_id: str, credentials: object) -> Instance:
        """Give an instance's channel new credentials, and see to it that they are used.

        One that has failed is started anew; one that waits for its next attempt makes it now; one
        that is connected, or connecting, stays so, and uses them the next time: then
        `Instance.reconnect` makes it now. Should the other side refuse the old ones meanwhile, that
        is no reason to fail.

        Cancelling it leaves the new credentials in place; see `restart_instance` for the rest.

        Args:
            instance_id: Its id.
            credentials: Whatever its channel takes.

        Returns:
            Its handle.

        Raises:
            InstanceNotFound: There is none of this id.
            InstanceAlreadyStarted: It was to be started anew; see `restart_instance`.
            TypeError: Its channel takes no credentials; so it is with what else the channel raises.
            ChildStartFailed: It was started anew, and an essential child of it failed before it was
                ready.
            SupervisorNotRunning: The runtime has ended, or ends meanwhile.
        """
        record = self._find(instance_id)
        record.spec.channel.update_credentials(credentials)
        if self.events.listening:
            record.tell(InstanceCredentialsUpdated)
        if record.connection.phase is Phase.FAILED or record.status.link is InstanceStatus.FAILED:
            return await self.restart_instance(instance_id)

        record.signal(SignalKind.CREDENTIALS)
        await trio.lowlevel.checkpoint()
        return record.handle

    async def apply(self, specs: Iterable[InstanceSpec]) -> Applied:
        """Make the instances that there are those that are wanted, in one ordered pass.

        First what is not wanted is stopped, newest first; then what differs is restarted, one after
        the other; then what is new is started. Both in the order given, each ready before the next.

        Specifications are compared by ``==``, and so are channels: a `WebSocketChannel` by its
        options, any other by identity unless its class says otherwise. What is equal is left alone,
        its old channel object included; also if it is paused, or parked after a failure. What is
        restarted keeps its handle and its counters, and stays paused if it was.

        Of several at once each begins when the one before is done, so the last one wins.

        Cancelling it ends the pass where it is: what it was stopping stops, a start is undone, an
        instance between the halves of its restart stays stopped. Call it again to go on.

        Args:
            specs: What there is to be, in start order.

        Returns:
            What it did. One that fails to start does not end the pass.

        Raises:
            InvalidSpec: Two specifications share an id or a channel object; nothing was changed.
            SupervisionError: An instance asks for it before it is ready, while a pass waits for it.
            SupervisorNotRunning: The runtime has ended, or ends meanwhile.
        """
        wanted, began_at = check_wanted(specs), trio.current_time()
        if self._applying.locked():
            refuse_to_wait_for_itself(self._core)
        async with self._applying:
            self._core.check_open()
            down = [each.spec.id for each in self._records.values() if each.status.link in _DOWN]
            present = [record.spec for record in self._records.values()]
            applied = await perform(
                changes(present, wanted, down=down),
                wanted,
                stop=self.stop_instance,
                lend=self._lend,
                replace=self._replace,
                start=self.start_instance,
            )
        tell_applied(self.events, applied, began_at)
        return applied

    # --- inside ----------------------------------------------------------------------------------

    def _check_free(self, spec: InstanceSpec) -> None:
        if not isinstance(spec, InstanceSpec):
            wrong = Mistake("spec", spec, "must be an InstanceSpec")
            raise InvalidSpec(f"an instance of {self.settings.name!r}", [wrong])
        if spec.id in self._records:
            raise InstanceAlreadyStarted(spec.id)

        for user in self._users.of(spec.channel):
            raise InstanceAlreadyStarted(user, "channel")
        self._users.check_elsewhere(spec.channel)

    async def _forget(self, record: InstanceRecord) -> None:
        """Forget an instance that is down, unless somebody has forgotten or restarted it."""
        instance_id = record.spec.id
        if self._records.get(instance_id) is not record:
            return

        try:
            await self._supervisor.delete_child(instance_id)
        except ChildRunning:
            return
        except (ChildNotFound, SupervisorNotRunning):
            pass  # there is nothing left to forget but the record
        del self._records[instance_id]
        self._users.leave(record.spec.channel, instance_id)
        record.end()

    async def _restart(
        self, record: InstanceRecord, renew: Callable[[InstanceRecord], None]
    ) -> None:
        """Stop an instance if it runs, renew its record while it is down, and start it anew."""
        instance_id = record.spec.id
        record.restarting += 1
        try:
            await self._supervisor.terminate_child(instance_id)
            # Whoever else waits for this end has to see it before the next run begins.
            await trio.lowlevel.checkpoint()
            if self._records.get(instance_id) is not record:
                raise InstanceNotFound(instance_id)

            if not self._runs(record):
                renew(record)
                await self._supervisor.restart_child(instance_id)
        finally:
            record.restarting -= 1
            over = not record.restarting and not self._runs(record)
            if over and record.status.link is not InstanceStatus.FAILED:
                record.end()

    async def _replace(self, spec: InstanceSpec) -> None:
        """Restart an instance as something else; start it, if somebody has stopped it meanwhile."""
        record, done = self._records.get(spec.id), False

        def become(record: InstanceRecord) -> None:
            nonlocal done
            self._check_unused(spec)  # its lender may have been restarted meanwhile
            self._users.leave(record.spec.channel, spec.id)
            try:
                record.become(spec)
            finally:
                self._users.take(record.spec.channel, spec.id)
            done = True

        self._users.check_elsewhere(spec.channel)  # before anything is stopped in vain
        try:
            # Again, if somebody else has restarted it at the same moment, as what it was.
            while record is not None and not done:
                await self._restart(record, become)
        except InstanceNotFound:
            record = None
        if record is None:
            await self.start_instance(spec)

    def _renew(self, record: InstanceRecord) -> None:
        self._check_unused(record.spec)
        record.renew()

    def _check_unused(self, spec: InstanceSpec) -> None:
        """Refuse to run an instance on a channel object that another one runs on."""
        self._users.check_elsewhere(spec.channel)
        for user in self._users.of(spec.channel):
            if user != spec.id and self._runs(self._records[user]):
                raise InstanceAlreadyStarted(user, "channel")

    async def _lend(self, instance_id: str) -> None:
        with suppress(ChildNotFound):
            await self._supervisor.terminate_child(instance_id)

    def _runs(self, record: InstanceRecord) -> bool:
        child = self._core.children.get(record.spec.id)
        return self._records.get(record.spec.id) is record and child is not None and child.alive

    def _child_spec(self, record: InstanceRecord) -> ChildSpec:
        return ChildSpec(
            name=record.spec.id,
            run=run_instance,
            args=(record,),
            shutdown=math.inf,
            essential=self.settings.on_instance_failure is OnInstanceFailure.ESCALATE,
            intensity=self.settings.instance_intensity,
        )
