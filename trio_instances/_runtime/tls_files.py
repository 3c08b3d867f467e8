"""TLS contexts made from the files that a configuration names."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar
from weakref import WeakValueDictionary

from .findings import Findings, refuse

T = TypeVar("T")

_CONTEXTS: WeakValueDictionary[tuple[tuple[str, bytes], ...], ssl.SSLContext] = (
    WeakValueDictionary()
)
"""TLS contexts in use, by what their files held when they were made.

A context equals none but itself. So with a new one, a file that is read again would never give the
channels that run already; and with an old one, it would never give a renewed certificate.
"""


def tls_context(files: Mapping[str, Path]) -> ssl.SSLContext:
    """Return the context of these files, the same one as long as somebody uses it."""
    found = Findings()
    held = {key: found.collect(key, _loaded, Path.read_bytes, file) for key, file in files.items()}
    found.raise_any()
    digests = tuple((key, hashlib.sha256(held[key] or b"").digest()) for key in sorted(held))
    context = _CONTEXTS.get(digests)
    if context is not None:
        return context

    context = ssl.create_default_context()
    if "ca_file" in files:
        found.collect("ca_file", _loaded, context.load_verify_locations, files["ca_file"])
    if "cert_file" in files:
        # An empty password, because a key that wants one would ask for it on the terminal.
        load = partial(context.load_cert_chain, keyfile=files.get("key_file"), password="")
        found.collect("cert_file", _loaded, load, files["cert_file"])
    found.raise_any()
    _CONTEXTS[digests] = context
    return context


def _loaded(load: Callable[[Path], T], file: Path) -> T:
    try:
        return load(file)
    except ssl.SSLError as exc:
        raise refuse(f"cannot be used ({exc.reason or 'no certificate in it'})") from exc
    except OSError as exc:
        raise refuse(f"cannot be read ({exc.strerror})") from exc
    except ValueError as exc:  # the name itself, one with a null for instance
        raise refuse(f"cannot be read ({exc})") from exc
