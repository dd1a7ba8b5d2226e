"""Test files from a git repository, by the `git` program."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ..drivers.base import InfrastructureError, Stopped
from ..process import ProcessEnd, run_process
from .extract import invalid
from .git_login import NO_LOGIN, GitLogin

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
# A server that wants to know who asks, or does not like the answer.
_REFUSED: Final = re.compile(
    r"returned error: (401|403)|authentication failed|could not read (username|password)"
    r"|permission denied|host key verification failed|invalid credentials|terminal prompts disabled",
    re.IGNORECASE,
)
_USER_INFO: Final = re.compile(r"^(https?://)[^/@]*@")
_FULL_COMMIT: Final = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


def fetch_git(
    source: GitSource,
    folder: Path,
    *,
    commit: str = "",
    login: GitLogin = NO_LOGIN,
    environment: Mapping[str, str],
    timeout: float,
    stop: StopToken,
    log: Callable[[str], None],
) -> str:
    """Fetch one revision into a new folder (depth 1 where the server allows it); returns its commit.

    That is `commit` where given, else what `source.revision` is now. `timeout` is in seconds, for each git command.
    Raises SubmitterError, InfrastructureError, Stopped.
    """
    revision = commit or source.revision
    if revision.startswith("-"):
        raise invalid(f"source.git.revision: {revision!r} is no revision")
    folder.mkdir(parents=True)
    env = {
        # Never wait for a password that nobody types.
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
        **environment,
        "LC_ALL": "C",
        **login.environment,
    }

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

    def must(end: ProcessEnd) -> ProcessEnd:
        if end.returncode != 0:
            raise _error(end, source, login)
        return end

    log(f"fetching {revision} of {_public(source.repository)}")
    must(git("init", "--quiet"))
    # Not every server serves a part of the history (a plain web server does not), nor a single commit.
    for depth in (["--depth", "1"], []):
        fetched = git("fetch", "--quiet", *depth, "--", source.repository, revision)
        if _REFUSED.search(fetched.tail) and fetched.returncode != 0:
            raise _error(fetched, source, login)
        if fetched.returncode == 0:
            must(git("checkout", "--quiet", "--detach", "FETCH_HEAD"))
            break
    else:
        # A commit by its short name, or one that no branch or tag points to: fetch everything and look.
        everything = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
        must(git("fetch", "--quiet", "--", source.repository, *everything))
        must(git("checkout", "--quiet", "--detach", revision, "--"))
    found = must(git("rev-parse", "HEAD")).tail.strip()
    if not _FULL_COMMIT.fullmatch(found):
        raise InfrastructureError(f"git rev-parse said {found[:200]!r} where it should say a commit")
    if found != revision:
        log(f"{revision} is {found}")
    return found


def project_folder(source: GitSource, folder: Path) -> Path:
    """The project's folder in a fetched repository. Raises SubmitterError where there is none."""
    missing = f"source.git.path: {_public(source.repository)} has no folder {source.path!r}"
    try:
        project = (folder / source.path).resolve()
    except RuntimeError as error:  # Python's word for links that lead in a circle
        raise invalid(missing) from error
    if not project.is_relative_to(folder.resolve()) or not project.is_dir():
        raise invalid(missing)
    return project


def _public(repository: str) -> str:
    """The clone URL as it may be shown: some put a token into it."""
    return _USER_INFO.sub(r"\1", repository)


def _error(end: ProcessEnd, source: GitSource, login: GitLogin) -> Exception:
    text = end.tail.strip() or f"git ended with {end.returncode}"
    if _REFUSED.search(text):
        return InfrastructureError(
            f"the test files could not be fetched: {login.advice(_public(source.repository))}: {text}"
        )
    if _NOT_THERE.search(text):
        # Servers hide private repositories from strangers behind a 404.
        hint = "" if login.secret else " (a private one needs an entry in the TestTarget's gitCredentials)"
        return invalid(f"source.git: {text}{hint if 'not found' in text.lower() else ''}")
    return InfrastructureError(f"the test files could not be fetched: {text}")
