"""The operations page: one file that loads nothing, and the policy that holds it to that.

It is kept in parts that can be read one by one, in the folder ``front``, and put together when the
endpoint starts: there is no other build step.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from importlib import resources
from typing import TYPE_CHECKING, final

from starlette.responses import HTMLResponse

from .access import Access
from .answers import asked
from .fleet import FIELDS
from .verbs import VERBS

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from .._runtime.runtime import Runtime


SCRIPTS = (
    "words", "dom", "endpoint", "stream", "fleet", "glance", "table", "timeline", "chart", "tree",
    "details", "start",
)  # fmt: skip
"""The parts of the page's script, in order: each uses those before it as soon as it is read, and
those after it only once the last one has started the page."""


@final
class Page:
    """The page. What it has to know about its endpoint is written into it once.

    Args:
        runtime: What it shows.
        access: What the endpoint grants.
    """

    def __init__(self, runtime: Runtime, access: Access) -> None:
        about = {
            "runtime": runtime.settings.name,
            "fields": FIELDS,
            "verbs": VERBS,
            "grants_verbs": access.grants_verbs,
            "reading_is_open": access.reading_is_open,
        }
        # "<" could end the script that the text stands in; in JSON it has another spelling.
        text = json.dumps(about).replace("<", "\\u003c")
        self._html = _page().replace("{{about}}", text)
        self._policy = policy_of(self._html)

    async def page(self, request: Request) -> Response:
        """Give the page."""
        asked(request, ())
        return HTMLResponse(self._html, headers={"content-security-policy": self._policy})


def _page() -> str:
    """Return the page without what only its endpoint knows."""
    front = resources.files(__package__) / "front"
    scripts = [(front / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    page = (front / "page.html").read_text(encoding="utf-8")
    page = page.replace("{{style}}", (front / "page.css").read_text(encoding="utf-8"))
    return page.replace("{{script}}", "\n".join(scripts))


def policy_of(html: str) -> str:
    """Return a Content-Security-Policy that lets a page run what stands in it, and nothing else."""
    scripts = " ".join(_hashes(html, "script"))
    styles = " ".join(_hashes(html, "style"))
    return (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hashes(html: str, element: str) -> list[str]:
    texts = re.findall(rf"<{element}>(.*?)</{element}>", html, re.DOTALL)
    digests = [hashlib.sha256(text.encode()).digest() for text in texts]
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
