"""The configuration file: what it can say, and what each broken one is answered."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
import trustme
from attrs import evolve

from trio_instances import (
    BreakerPolicy,
    InitPolicy,
    InstanceSpec,
    ReconnectPolicy,
    RestartIntensity,
)
from trio_instances._exceptions import InvalidSpec
from trio_instances._runtime.config import Config, load_config
from trio_instances._runtime.run_settings import RunSettings, WhenAllDown
from trio_instances._runtime.settings import OnInstanceFailure
from trio_instances._runtime.tables import CHANNEL_FIELDS
from trio_instances.channels.websocket import WebSocketChannel
from trio_instances.policy.backoff import Backoff, Jitter
from trio_instances.policy.causes import DEFAULTS, PLATFORMS, RuleSet
from trio_instances.policy.failures import Cause
from trio_instances.policy.health import ProbePolicy
from trio_instances.policy.listening import Address
from trio_instances.policy.reconnect import Exhausted
from trio_instances.policy.stalls import StallPolicy
from trio_instances.policy.strategies import Strategy

Load = Callable[..., Config]

MINIMAL = """
[[instances]]
id = "bot-1"
url = "ws://127.0.0.1:9/"
"""


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return a function that loads a text, with an environment of its own."""

    def load_text(text: str | bytes, **environ: str) -> Config:
        file = tmp_path / "bots.toml"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return load_config(file, environ=environ)

    return load_text


@pytest.fixture
def mistakes(load: Load) -> Callable[..., list[str]]:
    """Return a function that loads a broken text, and returns its mistakes as people see them."""

    def mistakes_of(text: str | bytes, **environ: str) -> list[str]:
        with pytest.raises(InvalidSpec) as refused:
            load(text, **environ)
        assert refused.value.what.endswith("bots.toml")
        return [str(mistake) for mistake in refused.value.mistakes]

    return mistakes_of


Mistakes = Callable[..., list[str]]


# --- what a file can say


def test_a_file_needs_one_instance_with_an_id_and_a_url_only(load: Load) -> None:
    """Everything else has the defaults of the specifications."""
    config = load(MINIMAL)
    (spec,) = config.instances
    assert spec.id == "bot-1"
    assert isinstance(spec.channel, WebSocketChannel)
    assert spec.probe == ProbePolicy()
    assert config.settings.name == "runtime"


def test_every_policy_can_be_set(load: Load) -> None:
    """Tables become policies, words become enums, whole numbers do for fractions."""
    config = load("""
        [runtime]
        name = "bots"
        instance_intensity = { max_restarts = 2, period = 60 }
        on_instance_failure = "escalate"

        [[instances]]
        id = "bot-1"
        name = "The first"
        url = "wss://gateway.example/socket"
        strategy = "rest_for_one"
        intensity = { max_restarts = 0 }
        child_backoff = { initial = 1, jitter = "none" }
        failures_to_degrade = 3
        pressure = { warn = 0.5 }
        probe = { interval = 5, failures_to_fail = 2 }

        [instances.reconnect]
        attempts = 7
        exhausted = "escalate"
        backoff = { cap = 9 }
    """)
    (spec,) = config.instances
    assert config.settings.on_instance_failure is OnInstanceFailure.ESCALATE
    assert config.settings.instance_intensity.max_restarts == 2
    assert spec.strategy is Strategy.REST_FOR_ONE
    assert spec.intensity.max_restarts == 0
    assert spec.child_backoff == Backoff(initial=1, jitter=Jitter.NONE)
    assert spec.probe == ProbePolicy(interval=5, failures_to_fail=2)
    assert (spec.name, spec.failures_to_degrade, spec.pressure.warn) == ("The first", 3, 0.5)
    assert (spec.reconnect.attempts, spec.reconnect.exhausted) == (7, Exhausted.ESCALATE)
    assert spec.reconnect.backoff == Backoff(cap=9)


def test_a_table_keeps_what_it_leaves_out_of_the_default_of_its_place(load: Load) -> None:
    """At every depth: what is written changes the default that there is, which may be its own."""
    config = load("""
        [runtime]
        instance_intensity = { max_restarts = 2 }

        [budgets.gateway]
        breaker = { backoff = { cap = 9 } }

        [[instances]]
        id = "bot-1"
        url = "wss://gateway.example/socket"
        intensity = { max_restarts = 0 }
        reconnect = { slow = { cap = 600 } }
        child_backoff = { cap = 9 }
    """)
    (spec,) = config.instances
    (budget,) = config.budgets
    default = ReconnectPolicy()
    assert config.settings.instance_intensity == RestartIntensity(max_restarts=2, period=30.0)
    assert spec.intensity == RestartIntensity(max_restarts=0, period=30.0)
    assert spec.reconnect == evolve(default, slow=evolve(default.slow, cap=600))
    assert spec.child_backoff == Backoff(cap=9)  # where there is none, the class has the rest
    breaker = BreakerPolicy()
    assert budget.policy.breaker == evolve(breaker, backoff=evolve(breaker.backoff, cap=9))


def test_probes_can_be_switched_off(load: Load) -> None:
    """``probe = false`` is Python's None."""
    assert load(MINIMAL + "probe = false").instances[0].probe is None


def test_what_is_off_by_default_can_be_switched_on_and_off_again(load: Load) -> None:
    """TOML has no null: where the defaults of a file give a number, ``false`` is Python's None."""
    config = load("""
        [runtime]
        probes_at_once = 20

        [defaults]
        url = "ws://127.0.0.1:9/"
        probe = { startup_failures = 9, transport_silence = 45, data_silence = 3600 }

        [[instances]]
        id = "one"

        [[instances]]
        id = "two"
        probe = { startup_failures = false, transport_silence = false, data_silence = false }
    """)
    one, two = config.instances
    assert config.settings.probes_at_once == 20
    assert one.probe == ProbePolicy(startup_failures=9, transport_silence=45, data_silence=3600)
    assert two.probe == ProbePolicy()


def test_a_wrong_number_that_may_be_off_is_named(mistakes: Mistakes) -> None:
    """``true`` is no number, and a text is none either."""
    assert mistakes(MINIMAL + 'probe = { data_silence = true, startup_failures = "3" }') == [
        "instances[0].probe.startup_failures: must be a whole number of at least 1, not '3'",
        "instances[0].probe.data_silence: must be a finite number above 0, or None, not True",
    ]


def test_every_option_of_the_channel_has_a_field() -> None:
    """The file knows what the channel takes, but for the handler, which is code.

    A TLS context and rules, which are objects, are written as tables.
    """
    options = set(inspect.signature(WebSocketChannel).parameters)
    tables = {"tls", "close_causes", "status_causes"}
    assert set(CHANNEL_FIELDS) == options - {"on_message", "ssl_context"} | tables


def test_every_option_of_the_channel_can_be_set(load: Load) -> None:
    """All fields of a channel are accepted together."""
    load(
        MINIMAL
        + """
        subprotocols = ["chat.v2", "chat.v1"]
        outbox_capacity = 10
        inbox_capacity = 0
        max_message_size = 1000
        ping = false
        close_code = 4000
        close_reason = "bye"
        headers = { User-Agent = "bots", Authorization = { env = "BOT_KEY" } }
        causes = "discord"
        close_causes = { 4004 = { failure_class = "fatal", who_must_act = "credentials" } }
        status_causes = { 418 = { failure_class = "recoverable", retry_after = 60 } }
        """,
        BOT_KEY="hunter2",
    )


def causes_of(spec: InstanceSpec) -> RuleSet:
    """Return the rules of an instance's channel."""
    return cast("WebSocketChannel", spec.channel).causes


def test_close_codes_of_a_platform_mean_what_the_file_says(load: Load) -> None:
    """A row of ``close_causes`` is a cause, named after its code where no reason is given."""
    row = '{ failure_class = "fatal", who_must_act = "credentials" }'
    (spec,) = load(MINIMAL + f"close_causes.4004 = {row}").instances
    expected = Cause("fatal", "close_4004", lost=True, who_must_act="credentials")

    assert causes_of(spec).cause_of_close(4004) == expected


def test_a_row_of_the_file_has_every_field_of_a_cause_but_lost(load: Load) -> None:
    """Hints are data too; whether the connection is lost is known without being told."""
    row = """{
        failure_class = "recoverable", reason = "moved", detail = "to another node",
        who_must_act = "operator", retry_after = 2, resumable = true, planned = true
    }""".replace("\n", " ")
    (spec,) = load(MINIMAL + f"status_causes.418 = {row}").instances

    assert causes_of(spec).cause_of_status(418) == Cause(
        "recoverable",
        "moved",
        "to another node",
        retry_after=2,
        resumable=True,
        planned=True,
        who_must_act="operator",
    )


@pytest.mark.parametrize("word", sorted(PLATFORMS))
def test_a_platform_is_named_by_its_word(load: Load, word: str) -> None:
    """``causes`` takes the name of any rule set that is shipped for a platform."""
    (spec,) = load(MINIMAL + f"causes = '{word}'").instances

    assert causes_of(spec) == RuleSet("file", (), PLATFORMS[word]) | DEFAULTS


def test_the_rows_of_the_file_go_before_the_platform(load: Load) -> None:
    """A file corrects what a platform's rules say of one code, and keeps the rest."""
    row = '{ failure_class = "recoverable", reason = "flaky_login" }'
    (spec,) = load(MINIMAL + f"causes = 'discord'\nclose_causes.4004 = {row}").instances

    assert causes_of(spec).cause_of_close(4004).reason == "flaky_login"
    assert causes_of(spec).cause_of_close(4014).failure_class == "fatal"


def test_defaults_lie_under_every_instance_table_by_table(load: Load) -> None:
    """An instance's own value wins, and the values beside it still come from the defaults."""
    one, two = load("""
        [defaults]
        url = "ws://127.0.0.1:9/"
        reconnect = { attempts = 8, backoff = { cap = 10.0, factor = 3.0 } }
        probe = { interval = 5 }

        [[instances]]
        id = "one"
        reconnect.backoff.cap = 20.0
        probe = false

        [[instances]]
        id = "two"
    """).instances
    assert one.reconnect.attempts == two.reconnect.attempts == 8
    assert one.reconnect.backoff == Backoff(cap=20.0, factor=3.0)
    assert two.reconnect.backoff == Backoff(cap=10.0, factor=3.0)
    assert one.probe is None
    assert two.probe == ProbePolicy(interval=5)
    assert one.channel is not two.channel


def test_instances_keep_the_order_of_the_file(load: Load) -> None:
    """They are started in that order, so it is kept."""
    rows = "".join(f'[[instances]]\nid = "{name}"\nurl = "ws://h/"\n' for name in "cab")
    assert [spec.id for spec in load(rows).instances] == ["c", "a", "b"]


def test_certificates_are_read_relative_to_the_file(load: Load, tmp_path: Path) -> None:
    """``tls`` names files beside the configuration file."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    mine = authority.issue_cert("me").private_key_and_cert_chain_pem
    mine.write_to_path(str(tmp_path / "me.pem"))
    (spec,) = load("""
        [[instances]]
        id = "bot-1"
        url = "wss://gateway.example/"
        tls = { ca_file = "ca.pem", cert_file = "me.pem" }
    """).instances
    tls = cast("WebSocketChannel", spec.channel)._tls  # noqa: SLF001 - it shows nowhere else
    assert tls is not None
    assert "trustme" in str(tls.get_ca_certs())


# --- what a broken file is answered


def test_every_mistake_is_named_with_its_place(mistakes: Mistakes) -> None:
    """One error lists them all: unknown keys, wrong types, refused values, at every depth."""
    ids = "must be a text that is not empty, is printable and has no '/', not 'b/c'"
    strategies = "must be one of 'one_for_one', 'one_for_all', 'rest_for_one', not 'all'"
    found = mistakes("""
        [runtime]
        nmae = "bots"
        sink_timeout = "5"

        [defaults]
        reconnect.attempts = 0

        [[instances]]
        url = "http://example.org/"
        reconnect.attemps = 3

        [[instances]]
        id = "b/c"
        url = "ws://127.0.0.1/"
        reconnect = { attempts = 1.5, backoff = { cap = -1, jiter = "full" } }
        strategy = "all"

        [[instance]]
    """)
    assert found == [
        "instance: is not known here; did you mean 'instances'?",
        "runtime.nmae: is not known here; did you mean 'name'?",
        "runtime.sink_timeout: must be a finite number at least 0, not '5'",
        "defaults.reconnect.attempts: must be a whole number of at least 1, not 0",
        "instances[0].reconnect.attemps: is not known here; did you mean 'attempts'?",
        "instances[0].id: is missing",
        "instances[0].url: must begin with ws:// or wss://, not 'http://example.org/'",
        "instances[1].reconnect.backoff.jiter: is not known here; did you mean 'jitter'?",
        "instances[1].reconnect.backoff.cap: must be a finite number at least 0, not -1",
        "instances[1].reconnect.attempts: must be a whole number of at least 1, not 1.5",
        "instances[1].id: " + ids,
        "instances[1].strategy: " + strategies,
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "instances: must be at least one table, each under [[instances]]"),
        (
            "instances = []",
            "instances: must be at least one table, each under [[instances]], not []",
        ),
        ("instances = [1]", "instances[0]: must be a table"),
        ("runtime = 3" + MINIMAL, "runtime: must be a table"),
        ("defaults = 3" + MINIMAL, "defaults: must be a table"),
        (MINIMAL + "probe = true", "instances[0].probe: must be a table, or false for no probes"),
        (
            MINIMAL + "outbox_capacity = 0",
            "instances[0].outbox_capacity: must be a whole number of at least 1, not 0",
        ),
        (MINIMAL + "reconnect = 5", "instances[0].reconnect: must be a table"),
        (
            MINIMAL + "reconnect = { slow = { cap = 30 } }",
            "instances[0].reconnect.slow.cap: must be at least initial, which is 60, not 30",
        ),
        (
            MINIMAL + "reconnect = { slow = { initail = 30 } }",
            "instances[0].reconnect.slow.initail: is not known here; did you mean 'initial'?",
        ),
        (MINIMAL + "headers = 'a: b'", "instances[0].headers: must be a table of names and texts"),
        (MINIMAL + "tls = true", "instances[0].tls: must be a table"),
        (MINIMAL + "tls = {}", "instances[0].tls: needs a url that begins with wss://"),
        (
            MINIMAL + "tls = { ca_file = 'none.pem' }",
            "instances[0].tls.ca_file: cannot be read (No such file or directory)",
        ),
        (
            MINIMAL + "tls = { cert_file = 'bots.toml' }",
            "instances[0].tls.cert_file: cannot be used (no certificate in it)",
        ),
        (
            MINIMAL + "tls = { key_file = 'k' }",
            "instances[0].tls.key_file: needs a cert_file beside it, not 'k'",
        ),
        (
            MINIMAL + "causes = 'discort'",
            (
                "instances[0].causes: must be one of 'binance', 'discord', 'discord_voice', "
                "'mattermost', 'pusher', 'slack', 'telegram', 'twitch', not 'discort'"
            ),
        ),
        (
            MINIMAL + "causes = 4004",
            (
                "instances[0].causes: must be one of 'binance', 'discord', 'discord_voice', "
                "'mattermost', 'pusher', 'slack', 'telegram', 'twitch', not 4004"
            ),
        ),
        (
            MINIMAL + "close_causes = 1",
            "instances[0].close_causes: must be a table, with a table for each code",
        ),
        (
            MINIMAL + "close_causes.x.failure_class = 'fatal'",
            "instances[0].close_causes.x: must be a whole number",
        ),
        (
            MINIMAL + "close_causes.04004.failure_class = 'fatal'",
            "instances[0].close_causes.04004: must be a whole number",
        ),
        (
            MINIMAL
            + "close_causes.4004.who_must_act = 3\nclose_causes.4004.failure_class = 'fatal'",
            (
                "instances[0].close_causes.4004.who_must_act: must be one of 'nobody', 'operator', "
                "'credentials', 'configuration', 'author', not 3"
            ),
        ),
        (
            MINIMAL + "status_causes.418 = { failure_class = 'fatal', retry_after = 'soon' }",
            (
                "instances[0].status_causes.418.retry_after: must be a finite number at least 0, "
                "or None, not 'soon'"
            ),
        ),
        (
            MINIMAL + "pressure = { warn = 0.9 }",
            (
                "instances[0].pressure.warn, degraded, shed: must not decrease from one to the "
                "next, not (0.9, 0.85, 0.95)"
            ),
        ),
        (MINIMAL * 2, "instances[1].id: must be unique (instances[0] has it), not 'bot-1'"),
    ],
)
def test_a_broken_file_is_answered(mistakes: Mistakes, text: str, expected: str) -> None:
    """One mistake, one line: the place, what is accepted there, and what was given."""
    assert mistakes(text) == [expected]


def test_a_repeated_id_is_found_beside_other_mistakes(mistakes: Mistakes) -> None:
    """Instances with mistakes of their own are compared as well."""
    assert mistakes((MINIMAL + "probe = 1") * 2) == [
        "instances[0].probe: must be a table, or false for no probes",
        "instances[1].probe: must be a table, or false for no probes",
        "instances[1].id: must be unique (instances[0] has it), not 'bot-1'",
    ]


def test_a_syntax_error_has_its_line_and_column(mistakes: Mistakes) -> None:
    """TOML that cannot be read is located."""
    assert mistakes("a = 1\nb = = 2\n") == [
        "line 2, column 5: Invalid value (this is TOML's syntax)"
    ]
    assert mistakes("a = [1,") == ["end of document: Invalid value (this is TOML's syntax)"]


def test_what_is_not_utf8_has_its_line(mistakes: Mistakes) -> None:
    """A byte that is no text is located."""
    assert mistakes(b"a = 1\nb = '\xff'\n") == ["line 2: must be UTF-8"]


def test_nesting_without_end_is_refused(mistakes: Mistakes) -> None:
    """A file that would overflow the parser's stack is a mistake, not a crash."""
    assert mistakes("a = " + "[" * 100_000) == ["the file: is nested too deeply"]


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    """A missing file and a folder are mistakes like any other."""
    with pytest.raises(InvalidSpec, match=r"none\.toml: the file: cannot be read \(No such file"):
        load_config(tmp_path / "none.toml")
    with pytest.raises(InvalidSpec, match="cannot be read"):
        load_config(tmp_path)


def test_a_mistake_of_the_defaults_is_said_once(mistakes: Mistakes) -> None:
    """It is the defaults' own, however many instances inherit it."""
    instances = "".join(f'[[instances]]\nid = "{name}"\nurl = "ws://h/"\n' for name in "abc")
    found = mistakes("[defaults]\nprobe.timeout = 0\nid = 'x'\n" + instances)
    assert [line.partition(":")[0] for line in found] == ["defaults.id", "defaults.probe.timeout"]


def test_what_the_process_does_beside_running_them_can_be_set(load: Load) -> None:
    """The table ``run``; without it nothing is watched, and nobody leaves."""
    text = """
    [run]
    when_all_down = "exit"
    all_down_after = 60
    init = { overdue_after = 5, overdue_tolerated = 2, failed_stops_watchdog = true, extension = 9 }
    stalls = { threshold = 0.25, warn_after = 3, window = 30 }
    """
    init = InitPolicy(overdue_after=5, overdue_tolerated=2, failed_stops_watchdog=True, extension=9)

    assert load(text + MINIMAL).run == RunSettings(
        when_all_down=WhenAllDown.EXIT,
        all_down_after=60,
        init=init,
        stalls=StallPolicy(threshold=0.25, warn_after=3, window=30),
    )
    assert load(MINIMAL).run == RunSettings()
    assert load("[run]\nstalls = false\n" + MINIMAL).run.stalls is None


def test_every_mistake_of_the_table_run_is_named(mistakes: Mistakes) -> None:
    """As those of any other."""
    text = """
    [run]
    when_all_down = "leave"
    all_down_after = 0
    wen = 1
    init = { extension = 0 }
    stalls = { threshold = 0 }
    """

    assert mistakes(text + MINIMAL) == [
        (
            "run.wen: is not known here; "
            "known are all_down_after, http, http_replay, http_token, init, metrics_by_instance, "
            "stalls, when_all_down"
        ),
        "run.init.extension: must be a finite number at least 1, not 0",
        "run.stalls.threshold: must be a finite number at least 0.001, not 0",
        "run.when_all_down: must be one of 'stay', 'exit', not 'leave'",
        "run.all_down_after: must be a finite number above 0, not 0",
    ]


def test_the_endpoint_has_an_address_and_a_token(load: Load) -> None:
    """A port, or a host and a port; none by default."""
    assert load(MINIMAL).run.http is None
    assert load("[run]\nhttp = 8077\n" + MINIMAL).run.http == Address("127.0.0.1", 8077)
    text = '[run]\nhttp = "0.0.0.0:80"\nhttp_token = "0123456789abcdef"\n'
    run = load(text + MINIMAL).run
    assert (run.http, run.http_token) == (Address("0.0.0.0", 80), "0123456789abcdef")  # noqa: S104
    assert "0123456789abcdef" not in repr(run)


def test_a_file_takes_the_ids_out_of_the_metrics(load: Load) -> None:
    """A series for each instance is too much for some."""
    assert load(MINIMAL).run.metrics_by_instance
    assert not load("[run]\nmetrics_by_instance = false\n" + MINIMAL).run.metrics_by_instance


def test_a_file_says_how_much_the_endpoint_keeps(load: Load, mistakes: Mistakes) -> None:
    """A large fleet needs more than is kept by default."""
    assert load(MINIMAL).run.http_replay == 10_000
    assert load("[run]\nhttp_replay = 200000\n" + MINIMAL).run.http_replay == 200_000
    assert mistakes("[run]\nhttp_replay = 0\n" + MINIMAL) == [
        "run.http_replay: must be a whole number of at least 1, not 0"
    ]


def test_an_endpoint_that_others_can_reach_needs_a_token(mistakes: Mistakes) -> None:
    """What is almost a token, or an address, is told with its place; the former is not shown."""
    assert mistakes('[run]\nhttp = "0.0.0.0:80"\n' + MINIMAL) == [
        "run.http: needs a token, as others than this machine's users can reach it, not '0.0.0.0'"
    ]
    assert mistakes('[run]\nhttp = "here"\nhttp_token = "tooshort"\n' + MINIMAL) == [
        (
            "run.http_token: must be None, or at least 16 printable ASCII characters without "
            "spaces: secrets.token_urlsafe() makes one"
        ),
        "run.http: must be PORT or HOST:PORT, IPv6 addresses in brackets, not 'here'",
    ]


def test_the_required_ids_are_those_of_instances(load: Load, mistakes: Mistakes) -> None:
    """One that no instance has could never be proven."""
    named = '[runtime]\nrequired = ["bot-1"]\n'
    assert load(named + MINIMAL).settings.required == ("bot-1",)
    assert mistakes('[runtime]\nrequired = ["bot-1", "ghost"]\n' + MINIMAL) == [
        "runtime.required[1]: must be the id of an instance, not 'ghost'"
    ]
    assert mistakes('[runtime]\nrequired = "bot-1"\n' + MINIMAL) == [
        "runtime.required: must be a list of ids, or None, not 'bot-1'"
    ]
    assert mistakes("[runtime]\nrequired = [1]\n" + MINIMAL)[0].startswith(
        "runtime.required[0]: must be a text"
    )


def test_an_id_that_is_no_text_is_a_mistake_in_its_place(mistakes: Mistakes) -> None:
    """Whatever it is: a list has no hash, and the required ids are looked for among them."""
    assert mistakes("[[instances]]\nid = []\nurl = 'ws://host/'\n") == [
        "instances[0].id: must be a text that is not empty, is printable and has no '/', not []"
    ]
