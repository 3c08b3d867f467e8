"""The command line: ``trio-instances demo | run | check``."""

from .commands import main

__all__ = ["main"]
