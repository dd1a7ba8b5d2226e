"""Private git repositories, on a real server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qgjob.api.source import GitSource
from qgjob.api.stores import GitCredentials
from testrunner.drivers.base import InfrastructureError, SubmitterError
from testrunner.secrets import Secrets
from testrunner.sources.git import fetch_git
from testrunner.sources.git_login import git_login
from testrunner.stop import StopToken
from tests.services.git_server import TOKEN, USER, GitServer, Repository, git_server

if TYPE_CHECKING:
    from collections.abc import Iterator


class Scene:
    """A private repository, and the Secrets of a target."""

    def __init__(self, server: GitServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.repository = Repository(server.root / "team/tests")
        self.commit = self.repository.commit("one")
        self.credentials: list[GitCredentials] = []
        self.log: list[str] = []

    def secret(self, prefix: str, **keys: str) -> None:
        number = len(self.credentials)
        self.credentials.append(GitCredentials(url_prefix=prefix, secret=f"secret-{number}"))
        (self.folder / f"secrets/git-{number}").mkdir(parents=True)
        for key, value in keys.items():
            (self.folder / f"secrets/git-{number}/{key}").write_text(value)

    def fetch(self, to: str = "out", *, url: str = "", revision: str = "main", commit: str = "") -> str:
        source = GitSource(repository=url or f"{self.server.url}/team/tests", revision=revision)
        with git_login(source.repository, self.credentials, Secrets(self.folder / "secrets")) as login:
            return fetch_git(
                source,
                self.folder / to,
                commit=commit,
                login=login,
                environment={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
                timeout=60,
                stop=StopToken(),
                log=self.log.append,
            )


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with git_server(tmp_path / "served") as server:
        yield Scene(server, tmp_path)


def test_a_token_opens_what_its_prefix_names(scene: Scene) -> None:
    scene.secret(scene.server.url + "/team/", username=USER, password=TOKEN)

    assert scene.fetch() == scene.commit

    assert (scene.folder / "out/e2e/text").read_text() == "one"


def test_a_token_is_left_neither_in_the_folder_nor_in_the_log(scene: Scene) -> None:
    scene.secret(scene.server.url, username=USER, password=TOKEN)

    scene.fetch()

    files = [path for path in (scene.folder / "out").rglob("*") if path.is_file()]
    assert files
    assert not any(TOKEN.encode() in path.read_bytes() for path in files)
    assert TOKEN not in "".join(scene.log)


def test_the_longest_prefix_counts(scene: Scene) -> None:
    scene.secret(scene.server.url + "/", username="other", password="wrong")
    scene.secret(scene.server.url + "/team/", username=USER, password=TOKEN)

    assert scene.fetch() == scene.commit


def test_a_wrong_token_names_the_secret_to_check(scene: Scene) -> None:
    scene.secret(scene.server.url, username=USER, password="wrong-token")

    with pytest.raises(InfrastructureError, match=r"refuses the Secret secret-0 .* check") as raised:
        scene.fetch()

    assert "wrong-token" not in raised.value.message


def test_without_credentials_it_says_where_to_put_them(scene: Scene) -> None:
    with pytest.raises(InfrastructureError, match=r"add a Secret for .* to the TestTarget's gitCredentials"):
        scene.fetch()


def test_a_secret_without_its_keys_says_of_which_type_it_should_be(scene: Scene) -> None:
    scene.secret(scene.server.url, token=TOKEN)

    with pytest.raises(InfrastructureError, match=r"neither password nor ssh-privatekey.*basic-auth"):
        scene.fetch()


def test_a_server_that_redirects_elsewhere_does_not_get_the_token_there(scene: Scene, tmp_path: Path) -> None:
    scene.secret(scene.server.url, username=USER, password=TOKEN)
    with git_server(tmp_path / "other") as other:
        # Another port is another server, as another name is.
        scene.server.redirect_to = other.url
        with pytest.raises(InfrastructureError):
            scene.fetch()

        assert other.logins
        assert set(other.logins) == {""}


def test_a_commit_is_fetched_although_the_branch_went_on(scene: Scene) -> None:
    scene.secret(scene.server.url, username=USER, password=TOKEN)
    newest = scene.repository.commit("two")

    assert scene.fetch("first", commit=scene.commit) == scene.commit
    assert scene.fetch("second") == newest

    assert (scene.folder / "first/e2e/text").read_text() == "one"
    assert (scene.folder / "second/e2e/text").read_text() == "two"


def test_an_answer_that_is_cut_is_infrastructure(scene: Scene) -> None:
    scene.secret(scene.server.url, username=USER, password=TOKEN)
    scene.server.cuts = 100

    with pytest.raises(InfrastructureError, match="could not be fetched"):
        scene.fetch()


def test_a_repository_that_is_not_there_is_the_submitters_mistake(scene: Scene) -> None:
    scene.secret(scene.server.url, username=USER, password=TOKEN)

    with pytest.raises(SubmitterError, match="not found") as raised:
        scene.fetch(url=scene.server.url + "/team/nothing")

    assert raised.value.reason == "SourceInvalid"


def test_a_key_is_used_by_ssh_for_known_hosts_only(tmp_path: Path) -> None:
    """The command line alone: no ssh server is installed here."""
    folder = tmp_path / "git-0"
    folder.mkdir()
    (folder / "ssh-privatekey").write_text("-----BEGIN KEY-----\nabc\n-----END KEY-----")
    (folder / "known_hosts").write_text("git.example.com ssh-ed25519 AAAA")
    credentials = [GitCredentials(url_prefix="git@git.example.com:", secret="key")]

    with git_login("git@git.example.com:team/tests.git", credentials, Secrets(tmp_path)) as login:
        command = login.environment["GIT_SSH_COMMAND"].split()
        key = Path(command[command.index("-i") + 1])
        (known,) = [word.partition("=")[2] for word in command if word.startswith("-oUserKnownHostsFile=")]
        assert key.read_text().endswith("-----END KEY-----\n")
        assert key.stat().st_mode & 0o077 == 0
        assert "git.example.com" in Path(known).read_text()

    assert "-oStrictHostKeyChecking=yes" in command
    assert "-oBatchMode=yes" in command
    assert not key.exists()
