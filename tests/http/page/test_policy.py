"""What holds the page to itself. No browser is needed for that."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import trio_instances.http
from trio_instances.http.page import SCRIPTS, policy_of

FRONT = Path(trio_instances.http.__file__).parent / "front"


def test_each_inline_text_is_allowed_by_its_digest() -> None:
    """The policy lets run what stands in the page, and names nothing else that may run."""
    digest = base64.b64encode(hashlib.sha256(b" let a; ").digest()).decode()

    policy = policy_of("<style>p{}</style><script> let a; </script>")

    assert f"script-src 'sha256-{digest}';" in policy
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none';")


def test_every_part_of_the_script_is_on_the_page() -> None:
    """A part that is not listed would never run."""
    assert sorted(SCRIPTS) == sorted(path.stem for path in FRONT.glob("*.js"))


def test_no_part_ends_the_element_it_stands_in() -> None:
    """The digests are of what stands between the tags, so none may stand within."""
    for path in [*FRONT.glob("*.js"), FRONT / "page.css"]:
        assert not re.search(r"</?(script|style)", path.read_text(encoding="utf-8")), path.name


def test_no_part_writes_markup() -> None:
    """What comes from outside can only become markup where markup is written at all."""
    for path in FRONT.glob("*.js"):
        source = path.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", source)


def test_each_part_can_be_read_in_one_sitting() -> None:
    """The parts are kept as small as the package's modules."""
    for path in FRONT.iterdir():
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path.name
