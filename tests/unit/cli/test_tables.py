"""Tables for people, on terminals wide and narrow, and in pipes."""

from __future__ import annotations

import io
import sys

import pytest

from qgjob.cli import tables

COLUMNS = ("JOB", "STATUS", "DETAILS")
ROWS = [("01kz7m2q8r4v5w", "queued_for_retry", "Failed once: no button named Checkout; retry in 42 s")]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def use_terminal(monkeypatch: pytest.MonkeyPatch, columns: str = "120", **environment: str) -> Terminal:
    """Make stdout a terminal of that width. Called in the test: pytest itself sets stdout before that."""
    made = Terminal()
    monkeypatch.setattr(sys, "stdout", made)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"COLUMNS": columns, "TERM": "xterm", **environment}.items():
        monkeypatch.setenv(name, value)
    return made


def lines(terminal: Terminal) -> list[str]:
    return [line.rstrip() for line in terminal.getvalue().splitlines()]


def test_a_wide_terminal_has_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = use_terminal(monkeypatch, NO_COLOR="1", TERM="dumb")

    tables.print_table(COLUMNS, ROWS, flexible="DETAILS")

    assert lines(terminal) == [
        "JOB             STATUS            DETAILS",
        "01kz7m2q8r4v5w  queued_for_retry  Failed once: no button named Checkout; retry in 42 s",
    ]


@pytest.mark.parametrize(
    ("columns", "details"), [("60", "Failed once: no button na…"), ("20", "Failed once: no but…")]
)
def test_a_narrow_terminal_cuts_the_details_and_no_id(
    monkeypatch: pytest.MonkeyPatch, columns: str, details: str
) -> None:
    terminal = use_terminal(monkeypatch, columns, NO_COLOR="1", TERM="dumb")

    tables.print_table(COLUMNS, ROWS, flexible="DETAILS")

    assert lines(terminal)[1] == f"01kz7m2q8r4v5w  queued_for_retry  {details}"


def test_a_pipe_has_everything_and_no_spaces_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_table(COLUMNS, [*ROWS, ("x", "queued", "")], flexible="DETAILS")

    assert capsys.readouterr().out.splitlines() == [
        "JOB             STATUS            DETAILS",
        "01kz7m2q8r4v5w  queued_for_retry  Failed once: no button named Checkout; retry in 42 s",
        "x               queued",
    ]


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_has_colours_unless_it_wants_none(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], coloured: bool
) -> None:
    terminal = use_terminal(monkeypatch, **environment)

    tables.print_table(("STATUS",), [("failed",)])

    assert ("\033[31mfailed" in terminal.getvalue()) is coloured


def test_fields_that_are_empty_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_fields({"Job": "a", "Message": "", "Finished": None, "Failures": 0})

    assert capsys.readouterr().out.splitlines() == ["Job       a", "Failures  0"]
