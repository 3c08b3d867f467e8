"""What every test shares."""

from __future__ import annotations

import signal
import sys

from hypothesis import settings

# A machine that is busy makes an example slow, not wrong; a hang is ended by the test's timeout.
settings.register_profile("trio_instances", deadline=None, print_blob=True)
settings.load_profile("trio_instances")

# Whoever starts the tests in the background of a shell, or under nohup, has these signals ignored,
# in every process that they start as well. What they do could not be seen then.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
