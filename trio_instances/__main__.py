"""The command line as ``python -m trio_instances``."""

from ._cli import main

if __name__ == "__main__":
    main()
