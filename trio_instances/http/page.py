"""The operations page: one file that loads nothing, and the policy that holds it to that."""

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
        source = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
        self._html = source.replace("{{about}}", text)
        self._policy = policy_of(self._html)

    async def page(self, request: Request) -> Response:
        """Give the page."""
        asked(request, ())
        return HTMLResponse(self._html, headers={"content-security-policy": self._policy})


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
