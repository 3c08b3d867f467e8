"""What exceptions mean: those of Python's standard library, of Trio, and this library's own."""

from __future__ import annotations

from ..rule_sets import RuleSet
from .rows import AUTHOR, CONFIGURATION, error_rows

_PYTHON = error_rows(
    "Python, built-in exceptions: https://docs.python.org/3/library/exceptions.html"
)
_TLS = error_rows("Python, ssl: https://docs.python.org/3/library/ssl.html#exceptions")
_DNS = error_rows("Python, socket: https://docs.python.org/3/library/socket.html#exceptions")
_TRIO = error_rows("Trio: https://trio.readthedocs.io/en/stable/reference-core.html")
_OWN = error_rows("trio_instances")

ERRORS = RuleSet(
    "errors",
    (
        _PYTHON.again("builtins.TimeoutError", reason="timeout"),
        _TRIO.again("trio.TooSlowError", reason="timeout"),
        _PYTHON.again("builtins.ConnectionRefusedError", reason="connection_refused", lost=True),
        _PYTHON.again("builtins.ConnectionResetError", reason="connection_reset", lost=True),
        _PYTHON.again("builtins.ConnectionError", reason="connection_error", lost=True),
        _PYTHON.again("builtins.EOFError", reason="end_of_stream", lost=True),
        _PYTHON.again("builtins.OSError", reason="os_error"),
        _DNS.again("socket.gaierror", reason="dns"),
        _TLS.never("ssl.SSLCertVerificationError", CONFIGURATION, reason="tls_certificate"),
        _TLS.again("ssl.SSLError", reason="tls", lost=True),
        _TRIO.again("trio.BrokenResourceError", reason="connection_broken", lost=True),
        _TRIO.again("trio.ClosedResourceError", reason="connection_closed", lost=True),
        _TRIO.again("trio.EndOfChannel", reason="end_of_channel", lost=True),
        _OWN.again("trio_instances.ProbeTimedOut", reason="probe_timeout"),
        _OWN.never("trio_instances.InvalidSpec", AUTHOR, reason="invalid_spec"),
    ),
)
"""Causes by exception type. An exception without a rule is ``unexpected``."""
