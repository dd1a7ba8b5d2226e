"""Running other programs to their end."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from hack.localcluster.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# A person's PATH often lacks the folders that hold iptables, ip and modprobe.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find_program(name: str) -> str | None:
    """Return the full path of a program, also of one that only root has on its PATH; None where missing."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = 120,
) -> str:
    """Run a program to its end and return its stdout.

    `env` is added to this process's environment; `timeout` is in seconds.
    Raises ClusterError, with the last line the program wrote to stderr, when it fails or is missing.
    """
    words = [str(word) for word in argv]
    program = find_program(words[0])
    if program is None:
        raise ClusterError(f"the program {words[0]} is missing: install it and try again")
    try:
        done = subprocess.run(
            [program, *words[1:]],
            input=stdin,
            stdin=None if stdin is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ClusterError(f"`{' '.join(words)}` did not end within {timeout:.0f} s") from None
    if done.returncode != 0:
        last_line = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise ClusterError(f"`{' '.join(words)}` failed ({done.returncode}): {last_line}")
    return done.stdout


def succeeds(argv: Sequence[str | Path], *, timeout: float = 20) -> bool:
    """Tell whether a program is there and ends well."""
    try:
        run(argv, timeout=timeout)
    except ClusterError:
        return False
    return True
