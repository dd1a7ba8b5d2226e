"""Git repositories behind a real sshd."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from qgjob.api.source import GitSource
from qgjob.api.stores import GitCredentials
from testrunner.drivers.base import InfrastructureError
from testrunner.secrets import Secrets
from testrunner.sources.git import fetch_git
from testrunner.sources.git_login import git_login
from testrunner.stop import StopToken
from tests.services.git_server import Repository
from tests.services.ssh_server import SshServer, find_sshd, ssh_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    program = find_sshd()
    if program is None:
        pytest.skip("needs sshd (Debian's openssh-server)")
    with ssh_server(program, tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    found = Repository(tmp_path / "tests")
    found.commit("one")
    return found


def fetch(server: SshServer, repository: Repository, folder: Path, **keys: str) -> str:
    (folder / "secrets/git-0").mkdir(parents=True)
    for key, value in keys.items():
        (folder / "secrets/git-0" / key.replace("ssh_", "ssh-")).write_text(value)
    source = GitSource(repository=server.url(repository.folder))
    credentials = [GitCredentials(url_prefix=server.url(folder), secret="deploy-key")]
    with git_login(source.repository, credentials, Secrets(folder / "secrets")) as login:
        return fetch_git(
            source,
            folder / "out",
            login=login,
            environment={"PATH": os.environ["PATH"], "HOME": str(folder)},
            timeout=60,
            stop=StopToken(),
            log=lambda _: None,
        )


def test_a_key_opens_the_repository(server: SshServer, repository: Repository, tmp_path: Path) -> None:
    # As many a Secret has it: without the newline at its end.
    key = server.private_key.rstrip("\n")

    commit = fetch(server, repository, tmp_path, ssh_privatekey=key, known_hosts=server.known_hosts)

    assert commit == repository.head
    assert (tmp_path / "out/e2e/text").read_text() == "one"


def test_a_host_that_is_not_known_is_not_trusted(
    server: SshServer, repository: Repository, tmp_path: Path
) -> None:
    with pytest.raises(InfrastructureError, match=r"Secret deploy-key .*known_hosts names the host"):
        fetch(server, repository, tmp_path, ssh_privatekey=server.private_key)


def test_a_key_that_the_server_does_not_take_is_named(
    server: SshServer, repository: Repository, tmp_path: Path
) -> None:
    with pytest.raises(InfrastructureError, match="refuses the Secret deploy-key"):
        fetch(server, repository, tmp_path, ssh_privatekey="nonsense", known_hosts=server.known_hosts)
