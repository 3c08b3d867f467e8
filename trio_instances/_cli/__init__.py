"""The command line: ``trio-instances demo | run | check | plan | top | tree | events``."""

from .commands import main

__all__ = ["main"]
