"""Seen from outside: the operations endpoint of a runtime, and its page.

The map, from the socket inwards:

- `serving`: `serve_operations`, its arguments, and how it begins and ends
- `connections`: one task for each connection, whose writes can be given up
- `door`: what is asked of every request: its host, its size, the token
- `application`: which path is answered by what
- `fleet`, `trees`, `metrics`: what is there now, read in slices
- `feed`, `stream`: what happens, as server-sent events
- `verbs`: what an operator can do
- ``page.html``: all of that for people

It needs the extra: ``pip install 'trio-instances[http]'``.
"""

from .serving import serve_operations

__all__ = ["serve_operations"]

# Tracebacks, reprs and the documentation say where a user imports it from.
serve_operations.__module__ = __name__
