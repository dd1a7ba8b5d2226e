"""What the exit codes mean, and the error that carries one."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command. `wait` (and `submit --wait`) uses all of them."""

    PASSED = 0
    FAILED = 1
    #: A mistake of whoever typed or submitted it; for `wait`, what was submitted can't be run at all.
    USAGE = 2
    TIMEOUT = 3
    INFRASTRUCTURE = 4
    CANCELLED = 5
    #: 128 + SIGINT, as shells have it.
    INTERRUPTED = 130


class CliError(Exception):
    """Ends the command: the text goes to stderr, one or two lines that say what to do."""

    def __init__(self, message: str, code: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.code = code
