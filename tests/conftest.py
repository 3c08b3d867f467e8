"""What every test shares."""

from __future__ import annotations

import signal

from hypothesis import settings

# A machine that is busy makes an example slow, not wrong; a hang is ended by the test's timeout.
settings.register_profile("trio_instances", deadline=None, print_blob=True)
settings.load_profile("trio_instances")

# Whoever starts the tests in the background of a shell has SIGINT ignored, in every process that
# they start as well. What a Ctrl-C does could not be seen then.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
