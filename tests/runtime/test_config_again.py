"""A file that is read again: what has not changed in it is equal, so that it is left alone."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
import trustme

from trio_instances import InvalidSpec
from trio_instances._runtime.config import load_config

BOTS = """
[defaults]
url = "ws://127.0.0.1:9/"
headers = { Authorization = { env = "TOKEN" } }
close_causes = { 4004 = { failure_class = "fatal" } }

[[instances]]
id = "one"

[[instances]]
id = "two"
probe = { interval = 5 }
"""
SECURE = """
[[instances]]
id = "bot"
url = "wss://gateway.example/"
tls = { ca_file = "ca.pem", cert_file = "me.pem" }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the path of a file, beside certificates that it can name."""
    issue(tmp_path)
    return tmp_path / "bots.toml"


def issue(folder: Path) -> None:
    """Put certificates into a folder, as new as they can be."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    mine = authority.issue_cert("me").private_key_and_cert_chain_pem
    mine.write_to_path(str(folder / "me.pem"))


def test_an_unchanged_file_gives_equal_specifications(file: Path) -> None:
    """Though each of its channels is another object."""
    file.write_text(BOTS)
    first = load_config(file, environ={"TOKEN": "a"})
    again = load_config(file, environ={"TOKEN": "a"})

    assert again == first
    assert again.instances[0].channel is not first.instances[0].channel


def test_one_changed_instance_differs_alone(file: Path) -> None:
    """Wherever in it the change is."""
    file.write_text(BOTS)
    first = load_config(file, environ={"TOKEN": "a"})
    file.write_text(BOTS.replace("interval = 5", "interval = 6"))
    again = load_config(file, environ={"TOKEN": "a"})

    assert again.instances[0] == first.instances[0]
    assert again.instances[1] != first.instances[1]


def test_another_secret_is_a_difference(file: Path) -> None:
    """Else a token that was renewed would not be used."""
    file.write_text(BOTS)
    first = load_config(file, environ={"TOKEN": "a"})

    assert load_config(file, environ={"TOKEN": "b"}).instances[0] != first.instances[0]


def test_unchanged_certificates_are_no_difference_and_renewed_ones_are(file: Path) -> None:
    """What counts is what is in the files, not what they are called."""
    file.write_text(SECURE)
    first = load_config(file)
    assert load_config(file) == first

    issue(file.parent)
    assert load_config(file) != first


def test_certificates_that_nobody_uses_are_not_kept(file: Path) -> None:
    """A fleet that renews its certificates for years does not grow."""
    from trio_instances._runtime.tls_files import _CONTEXTS  # noqa: PLC0415 - it shows nowhere else

    file.write_text(SECURE)
    before = len(_CONTEXTS)
    config = load_config(file)
    assert len(_CONTEXTS) == before + 1

    del config
    gc.collect()
    assert len(_CONTEXTS) == before


def test_a_name_that_no_file_can_have_is_a_mistake(file: Path) -> None:
    """The system refuses it in another way than a file that is not there."""
    file.write_text(SECURE.replace("ca.pem", "\\u0000"))

    with pytest.raises(InvalidSpec, match=r"tls\.ca_file: cannot be read"):
        load_config(file)
