"""The folder that the courier shares with tests, who would like it to leave that folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testrunner.artifacts.tree import Tree
from testrunner.courier.shared import SharedFolder
from testrunner.drivers.base import InfrastructureError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "shared/app").mkdir(parents=True)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/password").write_text("s3cret")
    return tmp_path / "shared"


def test_a_new_file_is_written_where_it_should_be(root: Path) -> None:
    with SharedFolder(root).new_file("app/app.apk") as file:
        file.write(b"package")

    assert (root / "app/app.apk").read_bytes() == b"package"


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../secrets/new", "app/../../secrets/new", "app/./x/..", "no/app"]
)
def test_a_path_that_leads_elsewhere_is_refused(root: Path, path: str) -> None:
    with pytest.raises(InfrastructureError), SharedFolder(root).new_file(path):
        pass


def test_no_link_is_followed_to_a_folder(root: Path) -> None:
    (root / "link").symlink_to(root.parent / "secrets")

    with pytest.raises(InfrastructureError), SharedFolder(root).new_file("link/new"):
        pass

    assert not (root.parent / "secrets/new").exists()


@pytest.mark.parametrize("dangling", [True, False])
def test_no_link_is_followed_to_a_file(root: Path, dangling: bool) -> None:
    target = root.parent / ("secrets/new" if dangling else "secrets/password")
    (root / "app/app.apk").symlink_to(target)

    with pytest.raises(InfrastructureError), SharedFolder(root).new_file("app/app.apk"):
        pass

    assert (root.parent / "secrets/password").read_text() == "s3cret"
    assert not (root.parent / "secrets/new").exists()


def test_a_folder_is_read_below_the_shared_one_although_its_parent_was_exchanged(root: Path) -> None:
    (root / "reports/one").mkdir(parents=True)
    (root / "reports/one/junit.xml").write_text("ours")

    with SharedFolder(root).folder("reports/one") as folder:
        (root / "reports").rename(root / "moved")
        (root / "reports").symlink_to(root.parent / "secrets")
        tree = Tree(folder)

        assert [file.name for file in tree.files()] == ["junit.xml"]
        with tree.open("junit.xml") as file:
            assert file.read() == b"ours"


def test_a_folder_that_is_a_link_itself_has_no_files(root: Path) -> None:
    (root / "reports").mkdir()
    (root / "reports/one").symlink_to(root.parent / "secrets")

    with SharedFolder(root).folder("reports/one") as folder:
        assert Tree(folder).files() == []
        with pytest.raises(NotADirectoryError), Tree(folder).open("password"):
            pass
