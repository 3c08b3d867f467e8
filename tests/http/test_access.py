"""Who may do what: decisions without a socket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_instances.http.access import Access
from trio_instances.http.settings import Settings

TOKEN = "0123456789abcdef"  # noqa: S105 - it guards nothing
DEFAULTS = {
    "port": 0,
    "replay": 1,
    "max_readers": 1,
    "stop_timeout": 1.0,
    "metrics_by_instance": True,
}


def access(host: str = "127.0.0.1", token: str | None = None) -> Access:
    """Return what an endpoint grants."""
    return Access(Settings(host=host, token=token, **DEFAULTS))  # type: ignore[arg-type]  # the defaults are one mapping of several types


@given(st.text())
def test_without_a_token_no_header_is_the_token(given: str) -> None:
    """Whatever it says, "None" included."""
    assert not access().knows_token(given)
    assert not access().grants_verbs


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_only_the_token_is_the_token(given: str) -> None:
    """Behind the scheme, spaces around it aside."""
    door = access(token=TOKEN)
    assert door.knows_token(f"Bearer {given}") is (given.strip() == TOKEN)
    assert door.knows_token(given) is False


def test_the_token_is_the_token() -> None:
    """Here it is."""
    assert access(token=TOKEN).knows_token(f"Bearer {TOKEN}")
    assert access(token=TOKEN).grants_verbs


@given(st.text(), st.integers(0, 65535))
def test_on_loopback_only_its_own_names_are_known(name: str, port: int) -> None:
    """With any port and with none."""
    known = name.lower() in {"localhost", "127.0.0.1", "[::1]"}
    door = access()
    assert door.knows_host(f"{name}:{port}") is known
    if ":" not in name:
        assert door.knows_host(name) is known


@pytest.mark.parametrize(
    ("bound", "asked"),
    [("127.0.0.2", "127.0.0.2:1"), ("::1", "[::1]"), ("0:0:0:0:0:0:0:1", "[0:0:0:0:0:0:0:1]:5")],
)
def test_the_address_that_it_listens_on_is_known(bound: str, asked: str) -> None:
    """By the very words of the settings."""
    assert access(bound).knows_host(asked)


@given(st.text())
def test_beyond_loopback_any_name_is_known(name: str) -> None:
    """What it is called there is not ours to know; whoever asks needs a token instead."""
    door = access("0.0.0.0", TOKEN)  # noqa: S104 - what is tested
    assert door.knows_host(name)
    assert not door.reading_is_open


@given(st.lists(st.floats(0.0, 3.0), max_size=120))
def test_no_more_verbs_are_granted_than_the_burst_and_the_rate_allow(gaps: list[float]) -> None:
    """20 at once and five a second; the delay that is told is enough, and never without end."""
    door, now, granted = access(token=TOKEN), 0.0, 0
    for gap in gaps:
        now += gap
        delay = door.verb_delay(now)
        granted += delay == 0.0
        assert 0.0 <= delay <= 0.2 + 1e-9
        assert granted <= 20 + 5.0 * now + 0.1
        if delay:
            now += delay
            assert door.verb_delay(now) == 0.0
            granted += 1


def test_wrong_tokens_have_a_rate_of_their_own() -> None:
    """Ten at once and one a second; verbs are counted apart."""
    door = access(token=TOKEN)
    assert [door.guess_delay(5.0) for _ in range(11)] == [*10 * [0.0], 1.0]
    assert door.verb_delay(5.0) == 0.0
    assert door.guess_delay(6.0) == 0.0
