"""Tables of a configuration file, read into specifications.

The specifications check their own fields. What is found out here is which table is which, what is
not known, and the place of each mistake. A table with mistakes is read on: what is wrong with a
part is noted, and the rest is made without it, so that its own mistakes come up as well. A table
within a table changes the default that there is in its place: what it leaves out is as there.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, NewType, TypeVar, cast, final

import attrs
import cattrs

from .._exceptions import InvalidSpec, Mistake
from .._instance.budget import ConnectionBudget
from .._instance.spec import InstanceSpec
from ..channels.websocket import WebSocketChannel
from ..policy.breaker import BreakerPolicy
from ..policy.budget import BudgetPolicy
from ..policy.causes import PLATFORMS
from ..policy.failures import Cause, FailureClass, WhoMustAct
from ..policy.health import ProbePolicy
from ..policy.listening import Address
from ..policy.mistakes import MistakeList
from ..policy.rule_sets import RuleSet
from ..policy.rules import Rule, on_close, on_status
from ..policy.stalls import StallPolicy
from .findings import Findings, refuse
from .run_settings import RunSettings
from .settings import RuntimeSettings
from .tls_files import tls_context

T = TypeVar("T")

Text = NewType("Text", str)
"""A text that may stand in an environment variable."""
Headers = NewType("Headers", dict[str, str])
Tls = NewType("Tls", ssl.SSLContext)
Platform = NewType("Platform", RuleSet)
CloseRules = NewType("CloseRules", list[Rule])
StatusRules = NewType("StatusRules", list[Rule])

CHANNEL_FIELDS: Mapping[str, Any] = {
    "url": Text,
    "tls": Tls,
    "headers": Headers,
    "subprotocols": tuple,
    "outbox_capacity": int,
    "inbox_capacity": int,
    "max_message_size": int,
    "ping": bool,
    "close_code": int,
    "resume_close_code": int,
    "close_reason": str,
    "causes": Platform,
    "close_causes": CloseRules,
    "status_causes": StatusRules,
}
"""What a file may say of a channel, by kind. Plain kinds are checked by the channel."""

_TLS_FIELDS: Mapping[str, Any] = {"ca_file": str, "cert_file": str, "key_file": str}
_CAUSE_FIELDS: Mapping[str, Any] = {
    "failure_class": FailureClass,
    "reason": str,
    "detail": str,
    "who_must_act": WhoMustAct,
    "retry_after": float,
    "resumable": bool,
    "planned": bool,
}
_PLAIN = (int, float, str, bool, tuple, StrEnum)
"""Kinds of values, subclasses included, that the specifications check themselves."""
_NEEDLESS_URL = "wss://needless.invalid"
"""Stands for a URL that is not there, so that everything else can be checked."""
_NO_DEFAULTS: Mapping[str, Any] = {}
"""Of a table in which there are no others, or only those of users' own names."""


@final
class _FromEnvironment(str):
    """A text that must not be shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<from the environment>"


@final
class TableReader:
    """Reads tables; each method raises `InvalidSpec` with every mistake in its table.

    Args:
        folder: What the names of files are relative to.
        environ: The environment variables.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._environ = environ
        self._converter = cattrs.Converter()
        hooks: Mapping[Any, Callable[[Any], Any]] = {
            Text: self._text,
            Headers: self._headers,
            Tls: partial(self._build, self._make_tls, _TLS_FIELDS),
            Platform: _platform,
            CloseRules: partial(self._rules, on_close, "close"),
            StatusRules: partial(self._rules, on_status, "http"),
            ProbePolicy | None: partial(self._or_off, ProbePolicy, "probes"),
            BreakerPolicy | None: partial(self._or_off, BreakerPolicy, "breaker"),
            ConnectionBudget | None: self._budget_of,
            **dict.fromkeys((int | None, float | None), _number_or_off),
            StallPolicy | None: partial(self._or_off, StallPolicy, "watch"),
            tuple[str, ...] | None: _as_it_is,
            Address | None: _as_it_is,
            **dict.fromkeys(_PLAIN, _as_it_is),
        }
        self._converter.register_structure_hook_factory(attrs.has, self._policy_hook)
        for kind, hook in hooks.items():
            self._converter.register_structure_hook(kind, _without_kind(hook))
        of_spec = _kinds_of(InstanceSpec)
        del of_spec["channel"]
        self._instance_fields = {**of_spec, **CHANNEL_FIELDS}
        self._budgets: dict[str, ConnectionBudget | None] = {}
        """By key; None for one that has mistakes, which are told once, and not at each use."""

    def settings(self, table: object) -> RuntimeSettings:
        """Read the table ``runtime``."""
        return self._policy(RuntimeSettings, table)

    def run(self, table: object) -> RunSettings:
        """Read the table ``run``."""
        kinds = {**_kinds_of(RunSettings), "http_token": Text}
        return self._build(RunSettings, kinds, table, _defaults_of(RunSettings))

    def budgets(
        self, tables: object, known: Iterable[ConnectionBudget]
    ) -> tuple[ConnectionBudget, ...]:
        """Read the table ``budgets``, which instances may name from then on.

        Args:
            tables: A table for each key.
            known: Budgets to take again where a table says the same, and to follow where not.
        """
        if not isinstance(tables, dict):
            raise refuse("must be a table, with a table for each key")

        found = Findings()
        earlier = {budget.key: budget for budget in known}
        for key, table in tables.items():
            self._budgets[key] = None
            policy = found.collect(key, self._converter.structure, table, BudgetPolicy)
            if policy is not None:
                budget = earlier.get(key)
                if budget is None or budget.policy != policy:
                    budget = ConnectionBudget(key, policy, follows=budget)
                self._budgets[key] = budget
        found.raise_any()
        return tuple(budget for budget in self._budgets.values() if budget is not None)

    def defaults(self, table: object) -> InstanceSpec:
        """Check the table ``defaults``, which has all that an instance has but its id."""
        fields = {key: kind for key, kind in self._instance_fields.items() if key != "id"}
        make = partial(self._make_instance, id="defaults", url=_NEEDLESS_URL)
        return self._build(make, fields, table, _defaults_of(InstanceSpec))

    def instance(self, table: object) -> InstanceSpec:
        """Read one instance, the defaults merged into its table."""
        fields, defaults = self._instance_fields, _defaults_of(InstanceSpec)
        return self._build(self._make_instance, fields, table, defaults)

    def _build(
        self,
        make: Callable[..., T],
        kinds: Mapping[str, Any],
        table: object,
        defaults: Mapping[str, Any] = _NO_DEFAULTS,
    ) -> T:
        if not isinstance(table, dict):
            raise refuse("must be a table")

        found = Findings()
        found.add_unknown(table, kinds)
        given: dict[str, Any] = {}
        wrong: set[str] = set()
        for key in [key for key in table if key in kinds]:
            try:
                given[key] = self._read(kinds[key], table[key], defaults.get(key))
            except InvalidSpec as exc:
                found.extend(key, exc.mistakes)
                wrong.add(key)

        made: T | None = None
        try:
            made = make(**given)
        except InvalidSpec as exc:
            # A field that was left out because it is wrong is not missing.
            found.extend("", (each for each in exc.mistakes if each.place not in wrong))
        found.raise_any()
        return cast("T", made)

    def _read(self, kind: Any, value: object, default: Any) -> Any:
        """Read the value of a key; a table has what it leaves out from the default of its place."""
        cls = type(default)
        if not isinstance(value, dict) or not attrs.has(cls):
            return self._converter.structure(value, kind)

        make = partial(attrs.evolve, default)
        return self._build(make, _kinds_of(cls), value, attrs.asdict(default, recurse=False))

    def _policy(self, kind: type[T], table: object) -> T:
        return self._build(kind, _kinds_of(kind), table, _defaults_of(kind))

    def _policy_hook(self, kind: type) -> Callable[[Any, Any], Any]:
        return _without_kind(partial(self._policy, kind))

    def _or_off(self, kind: type[T], what: str, value: object) -> T | None:
        if value is False:
            return None
        if not isinstance(value, dict):
            raise refuse(f"must be a table, or false for no {what}")

        return self._converter.structure(value, kind)

    def _budget_of(self, key: object) -> ConnectionBudget | None:
        if isinstance(key, str) and key in self._budgets:
            return self._budgets[key]

        known = ", ".join(map(repr, self._budgets)) or "none"
        wrong = MistakeList("budget")
        wrong.add("", key, f"must be the key of a table in budgets ({known})")
        wrong.raise_any()
        return None

    # --- an instance

    def _make_instance(self, **given: Any) -> InstanceSpec:
        found = Findings()
        for name in ("id", "url"):
            if name not in given:
                found.extend(name, refuse("is missing").mistakes)

        of_channel = {key: given.pop(key) for key in CHANNEL_FIELDS if key in given}
        channel = found.collect("", _make_channel, **of_channel)
        fields = {"id": "missing", **given}
        spec = found.collect("", InstanceSpec, channel=channel or _make_channel(), **fields)
        found.raise_any()
        return cast("InstanceSpec", spec)

    # --- a channel

    def _text(self, value: object) -> object:
        if not isinstance(value, dict):
            return value

        name = value.get("env")
        if set(value) != {"env"} or not isinstance(name, str):
            raise refuse('must be a text, or { env = "NAME" }')
        if name not in self._environ:
            raise refuse(f"needs the environment variable {name!r}, and it is not set")

        return _FromEnvironment(self._environ[name])

    def _headers(self, value: object) -> dict[str, str]:
        if not isinstance(value, dict):
            raise refuse("must be a table of names and texts")

        found = Findings()
        texts: dict[str, str] = {}
        for name, given in value.items():
            text = found.collect(name, self._text, given)
            if isinstance(text, str):
                texts[name] = text
            elif text is not None:
                found.extend(name, refuse('must be a text, or { env = "NAME" }').mistakes)
        found.raise_any()
        return texts

    def _make_tls(self, **names: object) -> ssl.SSLContext:
        wrong = MistakeList("tls")
        for key, name in names.items():
            wrong.instance(key, name, str)
        if "key_file" in names and "cert_file" not in names:
            wrong.add("key_file", names["key_file"], "needs a cert_file beside it")
        wrong.raise_any()

        files = {key: self._folder / str(name) for key, name in names.items()}
        return tls_context(files)

    def _rules(self, on: Callable[[int, Cause], Rule], prefix: str, value: object) -> list[Rule]:
        if not isinstance(value, dict):
            raise refuse("must be a table, with a table for each code")

        found = Findings()
        rules = []
        for code, table in value.items():
            if not re.fullmatch("0|[1-9][0-9]{0,8}", code):
                found.extend(code, refuse("must be a whole number").mistakes)
                continue

            make = partial(_make_cause, f"{prefix}_{code}")
            cause = found.collect(code, self._build, make, _CAUSE_FIELDS, table)
            if cause is not None:
                rules.append(on(int(code), cause))
        found.raise_any()
        return rules


def _make_channel(
    *,
    url: str = _NEEDLESS_URL,
    tls: ssl.SSLContext | None = None,
    causes: RuleSet | None = None,
    close_causes: Iterable[Rule] = (),
    status_causes: Iterable[Rule] = (),
    **options: Any,
) -> WebSocketChannel:
    # The file's own rules go before the platform's, which it may be there to correct.
    own = RuleSet("file", (*close_causes, *status_causes), causes)
    try:
        return WebSocketChannel(url, ssl_context=tls, causes=own, **options)
    except InvalidSpec as exc:
        raise InvalidSpec("", [_in_file_words(each, url) for each in exc.mistakes]) from None


def _in_file_words(mistake: Mistake, url: object) -> Mistake:
    """Give a channel's mistake the place that it has in a file, and take secrets out of it."""
    match mistake.place:
        case "ssl_context":
            return Mistake("tls", None, mistake.expected, given=False)
        case "headers":
            return Mistake(f"headers.{mistake.value}", None, mistake.expected, given=False)
        case "url" if isinstance(url, _FromEnvironment):
            return Mistake("url", url, "must be a correct ws:// or wss:// URL")
        case "url" if isinstance(mistake.value, str):
            shown = re.sub(r"(?<=//)[^/?#]*@", "<hidden>@", mistake.value.partition("?")[0])
            return attrs.evolve(mistake, value=shown)

    return mistake


def _platform(word: object) -> RuleSet:
    if not isinstance(word, str) or word not in PLATFORMS:
        words = ", ".join(repr(name) for name in PLATFORMS)
        raise InvalidSpec("", [Mistake("", word, f"must be one of {words}")])

    return PLATFORMS[word]


def _make_cause(code: str, **given: Any) -> Cause:
    return Cause(**{"failure_class": "", "reason": code, **given})


def _kinds_of(cls: type) -> dict[str, Any]:
    return {each.name: each.type for each in attrs.fields(attrs.resolve_types(cls)) if each.init}


def _defaults_of(cls: type) -> dict[str, Any]:
    return {each.name: each.default for each in attrs.fields(cls)}


def _as_it_is(value: object) -> object:
    return value


def _number_or_off(value: object) -> object:
    return None if value is False else value  # TOML has no null


def _without_kind(hook: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda value, _: hook(value)
