"""All workloads by one command."""

from .harness.command import command_for

WORKLOADS = (
    "start",
    "restarts",
    "latency",
    "memory",
    "subtree",
    "groups",
    "instances",
    "probes",
    "unheard",
    "snapshots",
    "websocket",
    "sockets",
    "growth",
)
"""In the order in which they are shown. The other scripts here tell a story of their own."""

if __name__ == "__main__":
    command_for(WORKLOADS)(prog_name="python -m benchmarks")
