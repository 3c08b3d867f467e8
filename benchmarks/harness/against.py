"""Another checkout to compare with."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from .rounds import HERE


@contextmanager
def package_at(revision: str) -> Iterator[Path]:
    """Lay the package out as it was at a revision, in a folder of its own, for as long as needed.

    Only the package: the workloads are those of this checkout, for both.

    Args:
        revision: A branch, a tag, a commit, ``HEAD~5``.

    Raises:
        SystemExit: There is no such revision.
    """
    command = ["git", "-C", str(HERE), "archive", "--format=tar", revision, "trio_instances"]
    packed = subprocess.run(command, capture_output=True, check=False)
    if packed.returncode != 0:
        raise SystemExit(packed.stderr.decode(errors="replace"))

    with TemporaryDirectory(prefix="trio-instances-") as folder:
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            archive.extractall(folder, filter="data")
        yield Path(folder)
