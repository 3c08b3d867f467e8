"""All workloads by one command."""

from .harness.command import command_for

WORKLOADS = ("start", "restarts", "latency", "memory", "subtree")

if __name__ == "__main__":
    command_for(WORKLOADS)(prog_name="python -m benchmarks")
