"""What of a test's output reaches the terminal."""

from __future__ import annotations

import pytest

from qgjob.cli.reading import printable


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain\ttext", "plain\ttext"),
        ("\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m"),
        ("\x1b]0;pwned\x07title", "title"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b[2J\x1b[Hcleared", "cleared"),
        ("over\rwritten\x00 \x08", "overwritten "),
        ("ümläut ✓", "ümläut ✓"),
    ],
)
def test_only_colours_and_text(raw: str, shown: str) -> None:
    assert printable(raw) == shown
