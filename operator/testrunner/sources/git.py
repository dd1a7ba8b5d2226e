"""Test files from a git repository, by the `git` program."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ..drivers.base import InfrastructureError, Stopped
from ..process import ProcessEnd, run_process
from .extract import invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from qgjob.api.source import GitSource

    from ..stop import StopToken

# What git says when the submitter named something that isn't there; anything else may be the network.
_NOT_THERE: Final = re.compile(
    r"couldn't find remote ref|does not appear to be a git repository"
    r"|repository .* (not found|does not exist)"
    r"|unknown revision|pathspec .* did not match|not our ref|invalid ref|not a (commit|tree)"
    r"|returned error: (404|410)",
    re.IGNORECASE,
)


def prepare_git(
    source: GitSource,
    folder: Path,
    *,
    environment: Mapping[str, str],
    timeout: float,
    stop: StopToken,
    log: Callable[[str], None],
) -> Path:
    """Fetch the one revision (depth 1 where the server allows it); returns the project's folder in it.

    `timeout` is in seconds, for each git command. Raises SubmitterError, InfrastructureError, Stopped.
    """
    if source.revision.startswith("-"):
        raise invalid(f"source.git.revision: {source.revision!r} is no revision")
    folder.mkdir(parents=True)
    # Never wait for a password that nobody types.
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
    env = quiet | dict(environment) | {"LC_ALL": "C"}

    def git(*arguments: str) -> ProcessEnd:
        argv = ["git", "-c", "advice.detachedHead=false", "-c", "protocol.ext.allow=never", *arguments]
        try:
            end = run_process(
                argv, cwd=folder, env=env, timeout=timeout, stop=stop, grace=2.0, on_line=lambda _: None
            )
        except FileNotFoundError as error:
            raise InfrastructureError("source.git needs the program git, which this image lacks") from error
        if end.stopped:
            raise Stopped(stop.reason)
        if end.timed_out:
            raise InfrastructureError(f"git {arguments[0]} took longer than {timeout:g} s")
        return end

    log(f"fetching {source.revision} of {source.repository}")
    _must(git("init", "--quiet"))
    shallow = git("fetch", "--quiet", "--depth", "1", "--", source.repository, source.revision)
    if shallow.returncode == 0:
        _must(git("checkout", "--quiet", "--detach", "FETCH_HEAD"))
    else:
        # A commit by its short name, or a server that serves no single commits: fetch everything and look.
        everything = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
        _must(git("fetch", "--quiet", "--", source.repository, *everything))
        _must(git("checkout", "--quiet", "--detach", source.revision, "--"))
    project = (folder / source.path).resolve()
    if not project.is_relative_to(folder.resolve()) or not project.is_dir():
        raise invalid(f"source.git.path: {source.repository} has no folder {source.path!r}")
    return project


def _must(end: ProcessEnd) -> None:
    if end.returncode == 0:
        return
    text = end.tail.strip() or f"git ended with {end.returncode}"
    if _NOT_THERE.search(text):
        raise invalid(f"source.git: {text}")
    raise InfrastructureError(f"the test files could not be fetched: {text}")
