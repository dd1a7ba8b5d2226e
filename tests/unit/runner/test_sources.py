from __future__ import annotations

import functools
import http.server
import io
import os
import subprocess
import tarfile
import threading
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from qgjob.api.source import ArchiveSource, GitSource, ImageSource, Source
from testrunner.drivers.base import InfrastructureError, SubmitterError
from testrunner.sources.archive import prepare_archive
from testrunner.sources.extract import extract
from testrunner.sources.git import fetch_git, project_folder
from testrunner.sources.lookup import require_source, require_test
from testrunner.sources.store import SourceStore
from testrunner.stop import StopToken
from tests.unit.runner.limits import largest_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def member(name: str, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def zip_of(path: Path, **files: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, text in files.items():
            pack.writestr(name.replace("__", "/"), text)
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_of_any_compression_is_unpacked(tmp_path: Path, mode: str) -> None:
    archive = tar_of(tmp_path / "archive", (member("tests/a.spec.ts"), b"hello"), mode=mode)

    extract(archive, tmp_path / "out")

    assert (tmp_path / "out/tests/a.spec.ts").read_text() == "hello"


def test_a_zip_is_unpacked(tmp_path: Path) -> None:
    extract(zip_of(tmp_path / "archive", tests__a="hello"), tmp_path / "out")

    assert (tmp_path / "out/tests/a").read_text() == "hello"


@pytest.mark.parametrize(
    "bad",
    [
        member("../outside"),
        member("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("link", type=tarfile.SYMTYPE, linkname="../../outside"),
        member("device", type=tarfile.CHRTYPE),
    ],
    ids=["parent", "absolute link", "link outside", "device"],
)
def test_a_tar_never_leads_outside(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    archive = tar_of(tmp_path / "archive", (bad, b""))

    with pytest.raises(SubmitterError) as raised:
        extract(archive, tmp_path / "out")

    assert raised.value.reason == "SourceInvalid"
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path / "out/link").is_symlink()


def test_an_absolute_name_in_a_tar_lands_inside(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    extract(tar_of(tmp_path / "archive", (member(str(outside)), b"x")), tmp_path / "out")

    assert not outside.exists()
    assert (tmp_path / "out" / str(outside).lstrip("/")).read_text() == "x"


def test_a_zip_that_leads_outside_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    with zipfile.ZipFile(archive, "w") as pack:
        pack.writestr("../outside", "x")

    with pytest.raises(SubmitterError, match="outside its folder"):
        extract(archive, tmp_path / "out")


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    for archive in (
        tar_of(tmp_path / "a.tar", (member("zeros"), b"\0" * 1_000_000)),
        zip_of(tmp_path / "a.zip", zeros="\0" * 1_000_000),
    ):
        with pytest.raises(SubmitterError, match="more than 1000 bytes"):
            extract(archive, tmp_path / f"out-{archive.name}", max_bytes=1000)


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "archive", *[(member(f"f{number}"), b"") for number in range(11)])

    with pytest.raises(SubmitterError, match="more than 10 files"):
        extract(archive, tmp_path / "out", max_files=10)


def zip_with_a_name_that_is_no_text(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as pack:
        pack.writestr("n\N{LATIN SMALL LETTER E WITH ACUTE}e", "x")  # by which it is marked as UTF-8
    path.write_bytes(
        path.read_bytes().replace("n\N{LATIN SMALL LETTER E WITH ACUTE}e".encode(), b"n\xff\xffe")
    )
    return path


def tar_from(path: Path, mtime: str) -> Path:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(member("a", pax_headers={"mtime": mtime}), io.BytesIO())
    return path


@pytest.mark.parametrize(
    "make",
    [
        zip_with_a_name_that_is_no_text,
        lambda path: tar_from(path, "1e40"),
        lambda path: tar_from(path, "nan"),
    ],
    ids=["a name that is no text", "a time that no file has", "a time that is none"],
)
def test_whatever_is_wrong_with_an_archive_is_the_submitters_mistake(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    archive = make(tmp_path / "archive")

    with pytest.raises(SubmitterError) as raised:
        extract(archive, tmp_path / "out")

    assert raised.value.reason == "SourceInvalid"


def test_a_machine_that_has_no_room_for_an_archive_is_not_the_submitters_mistake(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "archive", (member("a"), b"x" * 2_000_000))

    with largest_file(1_000_000), pytest.raises(InfrastructureError, match="File too large"):
        extract(archive, tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\x1f\x8b\x08\x00broken"])
def test_what_is_no_archive_is_the_submitters_mistake(tmp_path: Path, content: bytes) -> None:
    archive = tmp_path / "archive"
    archive.write_bytes(content)

    with pytest.raises(SubmitterError, match="can't be unpacked") as raised:
        extract(archive, tmp_path / "out")

    assert raised.value.reason == "SourceInvalid"


class Repository:
    """A git repository with two commits, a branch and a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._git("init", "--quiet", "--initial-branch=main")
        (folder / "e2e").mkdir()
        self.first = self._commit("one")
        self.second = self._commit("two")
        self._git("branch", "feature", self.first)

    @property
    def url(self) -> str:
        return self.folder.as_uri()

    def _commit(self, text: str) -> str:
        (self.folder / "e2e/text").write_text(text)
        self._git("add", ".")
        self._git("-c", "user.name=n", "-c", "user.email=e@x", "commit", "--quiet", "-m", text)
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=self.folder, check=True, capture_output=True, text=True
        ).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def fetch(repository: str, to: Path, **fields: str) -> Path:
    source = GitSource(repository=repository, **fields)
    fetch_git(
        source,
        to,
        environment={"PATH": os.environ["PATH"], "HOME": str(to.parent)},
        timeout=60,
        stop=StopToken(),
        log=lambda _: None,
    )
    return project_folder(source, to)


def test_a_password_in_a_clone_url_is_not_logged(tmp_path: Path) -> None:
    log: list[str] = []
    source = GitSource(repository="https://ci:hunter2@127.0.0.1:1/tests.git")

    with pytest.raises(InfrastructureError) as raised:
        fetch_git(
            source,
            tmp_path / "out",
            environment={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
            timeout=60,
            stop=StopToken(),
            log=log.append,
        )

    assert log == ["fetching HEAD of https://127.0.0.1:1/tests.git"]
    assert "hunter2" not in str(raised.value)


def test_git_fetches_the_default_branch_and_its_folder(repository: Repository, tmp_path: Path) -> None:
    project = fetch(repository.url, tmp_path / "out", path="e2e")

    assert (project / "text").read_text() == "two"


def test_git_fetches_a_branch_a_commit_and_a_short_commit(repository: Repository, tmp_path: Path) -> None:
    for number, revision in enumerate(["feature", repository.first, repository.first[:8]]):
        project = fetch(repository.url, tmp_path / f"out{number}", revision=revision, path="e2e")

        assert (project / "text").read_text() == "one", revision


@pytest.fixture
def plain_web_server(repository: Repository, tmp_path: Path) -> Iterator[str]:
    """The repository's URL on a web server that knows nothing of git: `git update-server-info` is all it has."""
    bare = tmp_path / "www" / "tests.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", repository.url, str(bare)], check=True)
    subprocess.run(["git", "update-server-info"], cwd=bare, check=True)
    handler = functools.partial(SilentHandler, directory=str(bare.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/tests.git"
        server.shutdown()


class SilentHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.mark.parametrize(
    ("revision", "text"), [("HEAD", "two"), ("main", "two"), ("feature", "one"), ("commit", "one")]
)
def test_git_fetches_from_a_plain_web_server(
    repository: Repository, plain_web_server: str, tmp_path: Path, revision: str, text: str
) -> None:
    revision = repository.first[:8] if revision == "commit" else revision

    project = fetch(plain_web_server, tmp_path / "out", revision=revision, path="e2e")

    assert (project / "text").read_text() == text


@pytest.mark.parametrize(
    "fields",
    [
        {"revision": "no-such-branch"},
        {"path": "no/such/folder"},
        {"path": "../.."},
        {"revision": "--upload-pack=x"},
    ],
)
def test_git_names_what_the_submitter_got_wrong(
    repository: Repository, tmp_path: Path, fields: dict[str, str]
) -> None:
    with pytest.raises(SubmitterError) as raised:
        fetch(repository.url, tmp_path / "out", **fields)

    assert raised.value.reason == "SourceInvalid"


def test_a_repository_that_is_not_there_is_the_submitters_mistake(tmp_path: Path) -> None:
    with pytest.raises(SubmitterError, match="does not appear to be a git repository"):
        fetch((tmp_path / "nothing").as_uri(), tmp_path / "out")


@pytest.mark.parametrize(
    "test",
    ["a.spec.ts", "a.spec.ts:12", "a.spec.ts:12:3", "a.spec.ts::test_login", "a.spec.ts#method", "flows"],
)
def test_a_test_that_the_source_has_is_found(tmp_path: Path, test: str) -> None:
    (tmp_path / "a.spec.ts").touch()
    (tmp_path / "flows").mkdir()

    require_test(tmp_path, test)


def test_a_test_that_the_source_lacks_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.spec.ts").touch()

    with pytest.raises(SubmitterError, match=r"no file 'b\.spec\.ts'") as raised:
        require_test(tmp_path, "b.spec.ts:3")

    assert raised.value.reason == "TestNotFound"


def test_a_source_that_is_empty_has_no_say(tmp_path: Path) -> None:
    require_test(tmp_path, "com.example.LoginTest")


def test_a_driver_may_insist_on_test_files(tmp_path: Path) -> None:
    with pytest.raises(
        SubmitterError, match="neither the TestJob nor its TestTarget names a source"
    ) as raised:
        require_source(tmp_path)
    (tmp_path / "a.spec.ts").touch()
    require_source(tmp_path)

    assert raised.value.reason == "SourceInvalid"


def test_a_path_that_leads_in_a_circle_is_the_submitters_mistake(tmp_path: Path) -> None:
    (tmp_path / "e2e").symlink_to("e2e")

    with pytest.raises(SubmitterError, match="has no folder 'e2e'"):
        project_folder(GitSource(repository="https://git.example.com/tests.git", path="e2e"), tmp_path)


def test_whatever_goes_wrong_with_one_source_the_others_are_prepared(tmp_path: Path) -> None:
    class Odd:
        def fetch_git(self, source: GitSource, folder: Path, **_: object) -> str:
            raise ValueError("nobody has thought of this")

    client: Any = None
    courier: Any = Odd()
    store = SourceStore(
        tmp_path / "sources", client=client, namespace="n", courier=courier, packages=None, log=lambda _: None
    )
    bad = Source(git=GitSource(repository="https://git.example.com/tests.git"))
    good = Source(image=ImageSource(path=str(tmp_path)))

    for _ in range(2):
        with pytest.raises(InfrastructureError, match="could not be prepared: ValueError: nobody has"):
            store.prepare(bad, "", StopToken())
    assert store.prepare(good, "", StopToken()).folder == tmp_path


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_header_that_would_fill_the_memory_is_refused_before_it_is_read(
    tmp_path: Path, kind: bytes
) -> None:
    info = member("long", type=kind)
    info.size = 1 << 32
    archive = tmp_path / "archive"
    archive.write_bytes(info.tobuf(tarfile.GNU_FORMAT))
    os.truncate(archive, 1 << 32)  # its zeros take no room, until someone reads them

    with pytest.raises(SubmitterError, match="a header of more than 65536 bytes"):
        extract(archive, tmp_path / "out")


def test_a_tar_that_counts_its_holes_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.write_bytes(member("disk.img", type=tarfile.GNUTYPE_SPARSE).tobuf() + bytes(10240))

    with pytest.raises(SubmitterError, match="pack it without --sparse"):
        extract(archive, tmp_path / "out")


def test_an_archive_whose_url_is_none_is_the_submitters_mistake(tmp_path: Path) -> None:
    source = ArchiveSource(url="http://builds:x/tests.tar.gz")

    with pytest.raises(SubmitterError, match=r"source\.archive: its URL has a host or a port"):
        prepare_archive(source, tmp_path / "out", stop=StopToken(), log=lambda _: None)
