"""The command line as ``python -m trio_instances``."""

from ._cli import main

main()
