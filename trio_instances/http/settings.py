"""What the operations endpoint was asked to be."""

from __future__ import annotations

from typing import final

from attrs import field, frozen

from ..policy.listening import check_guarded, check_port, check_token, is_loopback
from ..policy.mistakes import MistakeList


@final
@frozen(kw_only=True)
class Settings:
    """The arguments of `serve_operations`, checked."""

    host: str
    port: int
    token: str | None = field(repr=False)
    replay: int
    max_readers: int
    stop_timeout: float
    metrics_by_instance: bool

    def __attrs_post_init__(self) -> None:
        wrong = MistakeList("serve_operations")
        wrong.text("host", self.host)
        check_port(wrong, "port", self.port)
        check_token(wrong, "token", self.token)
        if self.host:
            check_guarded(wrong, "host", self.host, self.token)
        wrong.whole("replay", self.replay, at_least=1)
        wrong.whole("max_readers", self.max_readers, at_least=1)
        wrong.number("stop_timeout", self.stop_timeout, finite=True)
        wrong.boolean("metrics_by_instance", self.metrics_by_instance)
        wrong.raise_any()

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)
