"""Telling git who asks, so that no credential is in an argument, a log, or the repository's folder."""

from __future__ import annotations

import shlex
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from qgjob.api.credentials import git_purpose

from ..drivers.base import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qgjob.api.stores import GitCredentials

    from ..secrets import Secrets

#: Hosts of tokens take any name; this one is git's own custom.
DEFAULT_USER: Final = "git"
_KEY: Final = "ssh-privatekey"
_KNOWN_HOSTS: Final = "known_hosts"


@dataclass(frozen=True, slots=True)
class GitLogin:
    """What git is told about one repository."""

    #: The Secret's name; empty where there is none for the repository.
    secret: str = ""
    #: For the environment of git.
    environment: Mapping[str, str] = field(default_factory=dict)

    def advice(self, repository: str) -> str:
        """What to look at when the server refuses."""
        if self.secret:
            return (
                f"the server refuses the Secret {self.secret} (the TestTarget's gitCredentials): check that its "
                "token or key is valid, may read the repository, and that known_hosts names the host"
            )
        return f"the server asks for credentials: add a Secret for {repository} to the TestTarget's gitCredentials"


NO_LOGIN: Final = GitLogin()


@contextmanager
def git_login(repository: str, credentials: Sequence[GitCredentials], secrets: Secrets) -> Iterator[GitLogin]:
    """The login for a clone URL: of the longest prefix that fits. What git needs as files is there until the end.

    Raises InfrastructureError where the Secret is not mounted or lacks its keys.
    """
    purpose = git_purpose(repository, [each.url_prefix for each in credentials])
    if purpose is None:
        yield NO_LOGIN
        return
    secret = credentials[int(purpose.rpartition("-")[2])].secret
    values = secrets.read(purpose, secret)
    with tempfile.TemporaryDirectory(prefix="git-login-") as scratch:
        if _KEY in values:
            yield GitLogin(secret, _by_key(values, Path(scratch)))
        elif "password" in values:
            yield GitLogin(secret, _by_password(repository, values, Path(scratch)))
        else:
            raise InfrastructureError(
                f"the Secret {secret} (the TestTarget's gitCredentials) has neither password nor {_KEY}: "
                "make it of type kubernetes.io/basic-auth or kubernetes.io/ssh-auth"
            )


def _by_password(repository: str, values: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """A credential helper for this host alone: where the server redirects to another one, git does not ask it."""
    answer = scratch / "answer"
    answer.touch(mode=0o600)
    answer.write_text(f"username={values.get('username') or DEFAULT_USER}\npassword={values['password']}\n")
    parts = urlsplit(repository)
    host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    helper = f'!f() {{ test "$1" != get || cat {shlex.quote(str(answer))}; }}; f'
    # An empty one first: helpers of the image's own configuration would be asked before, and told the answer.
    return _configuration(("credential.helper", ""), (f"credential.{host}.helper", helper))


def _by_key(values: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """ssh with this key, and only to a host that is known: an unknown one could be anybody."""
    key, known = scratch / "key", scratch / "known_hosts"
    for path, text in ((key, values[_KEY]), (known, values.get(_KNOWN_HOSTS, ""))):
        # ssh wants the key for its user alone, and ended by a newline.
        path.touch(mode=0o600)
        path.write_text(text.rstrip("\n") + "\n")
    options = {
        "BatchMode": "yes",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(known),
        "ConnectTimeout": "20",
    }
    words = ["ssh", "-i", str(key), *(f"-o{name}={value}" for name, value in options.items())]
    return {"GIT_SSH_COMMAND": shlex.join(words), "GIT_SSH_VARIANT": "ssh"}


def _configuration(*settings: tuple[str, str]) -> dict[str, str]:
    """Settings of git by its environment: git's command line is for all to see."""
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables
