"""Building from pinned modules, once a machine."""

from __future__ import annotations

import io
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hack.localcluster import gobuild, programs
from hack.localcluster.errors import ClusterError
from hack.localcluster.files import replaced_directory, write_file
from hack.localcluster.places import cache_directory
from hack.localcluster.report import Report, format_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("release", [programs.ETCD, programs.KUBERNETES, programs.KIND])
def test_versions_are_read_from_go_mod(release: programs.Release) -> None:
    assert re.fullmatch(r"v\d+\.\d+\.\d+", release.version)
    assert release.directory.name == f"{release.name}-{release.version}"


@pytest.mark.parametrize("release", [programs.ETCD, programs.KUBERNETES, programs.KIND, programs.PAUSE])
def test_module_files_name_no_registry(release: programs.Release) -> None:
    text = "".join(path.read_text() for path in release.source.glob("go.*"))
    assert "://" not in text


def test_programs_know_their_version() -> None:
    flags = " ".join(programs.KUBERNETES.linker_flags())
    assert f"component-base/version.gitVersion={programs.KUBERNETES.version}" in flags


def test_a_program_that_is_not_built_here_is_refused_by_name() -> None:
    with pytest.raises(ClusterError, match="no program is called helm; there are etcd, "):
        programs.find_release("helm")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"QGJOB_CACHE": "/fast", "XDG_CACHE_HOME": "/xdg", "HOME": "/home/ada"}, "/fast"),
        ({"XDG_CACHE_HOME": "/xdg", "HOME": "/home/ada"}, "/xdg/qgjob"),
        ({"HOME": "/home/ada"}, "/home/ada/.cache/qgjob"),
    ],
)
def test_the_cache_is_where_the_person_keeps_caches(environment: Mapping[str, str], expected: str) -> None:
    assert cache_directory(environment) == Path(expected)


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26)),
        ("go version go1.19.8 linux/amd64", (1, 19)),
        ("go version devel go1.27-abcdef linux/amd64", (1, 27)),
        ("", None),
    ],
)
def test_go_says_its_version(output: str, version: tuple[int, int] | None) -> None:
    assert gobuild.parse_go_version(output) == version


@pytest.fixture
def no_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("hack.localcluster.shell.SYSTEM_PATH", "/nowhere")
    monkeypatch.setattr(gobuild, "USUAL_PLACES", ())
    return tmp_path


def test_without_go_a_person_is_told_where_to_get_it(no_go: Path) -> None:
    with pytest.raises(
        ClusterError, match=r"Go 1\.21 or newer is missing: install it from https://go\.dev/dl/"
    ):
        gobuild.find_go()


def test_an_old_go_is_refused_with_its_version(no_go: Path) -> None:
    (no_go / "go").write_text("#!/bin/sh\necho go version go1.19.8 linux/amd64\n")
    (no_go / "go").chmod(0o755)
    with pytest.raises(ClusterError, match=r"too old \(go version go1\.19\.8 linux/amd64\)"):
        gobuild.find_go()


def test_a_build_that_fails_says_the_compilers_words_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QGJOB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(programs, "SOURCES", tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "go.mod").write_text("module example.org/broken\n\ngo 1.21\n")
    (tmp_path / "broken" / "main.go").write_text("package main\n\nfunc main() { nonsense() }\n")
    release = programs.Release("broken", {"broken": "example.org/broken"})

    with pytest.raises(ClusterError, match="undefined: nonsense"):
        programs.ensure_built([release], Report(io.StringIO()))

    assert list((tmp_path / "cache" / "bin").iterdir()) == []


def test_what_is_built_is_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QGJOB_CACHE", str(tmp_path))
    programs.ensure_built([programs.PAUSE], Report(io.StringIO()))
    output = io.StringIO()
    programs.ensure_built([programs.PAUSE], Report(output))
    assert programs.PAUSE.path("pause").stat().st_mode & 0o111
    assert output.getvalue() == ""


@pytest.mark.parametrize(
    ("compiled", "expected"),
    [
        (812, "building etcd: 812 of 2000 packages compiled, 1 min 05 s"),
        (2000, "building etcd: linking, 1 min 05 s"),
    ],
)
def test_progress_says_how_far_the_build_is(compiled: int, expected: str) -> None:
    assert gobuild.progress_line("etcd", compiled, 2000, 65) == expected


def test_progress_is_updated_in_place_on_a_terminal() -> None:
    terminal = Terminal()
    report = Report(terminal)
    report.progress("half")
    report.say("done")
    assert terminal.getvalue() == "\r\x1b[2Khalf\r\x1b[2Kdone\n"


def test_progress_in_a_log_is_a_line_now_and_then() -> None:
    log = io.StringIO()
    report = Report(log)
    report.progress("a tenth")
    report.progress("two tenths")
    assert log.getvalue() == "a tenth\n"


@pytest.mark.parametrize(("seconds", "text"), [(4.21, "4.2 s"), (59.9, "59.9 s"), (187, "3 min 07 s")])
def test_durations_are_written_as_people_say_them(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with suppress(RuntimeError), replaced_directory(tmp_path / "bin") as directory:
        (directory / "half").touch()
        raise RuntimeError("a compiler's trouble")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_build_has_left_is_removed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / ".bin-killed").mkdir()
    with replaced_directory(tmp_path / "bin") as directory:
        (directory / "whole").touch()
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == [
        "bin",
        "bin/whole",
    ]


def test_a_file_is_not_touched_when_its_content_stays(tmp_path: Path) -> None:
    path = write_file(tmp_path / "config", "same")
    before = path.stat().st_mtime_ns, path.stat().st_ino
    write_file(path, "same")
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before
