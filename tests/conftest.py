"""What every test shares."""

from __future__ import annotations

from hypothesis import settings

# A machine that is busy makes an example slow, not wrong; a hang is ended by the test's timeout.
settings.register_profile("trio_instances", deadline=None, print_blob=True)
settings.load_profile("trio_instances")
