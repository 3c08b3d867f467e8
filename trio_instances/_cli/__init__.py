"""The command line: ``trio-instances demo | run | check | plan``."""

from .commands import main

__all__ = ["main"]
