"""Tokens that change while the program runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qgjob.client.credentials import TOKEN_FILE_SECONDS, HookCredentials, TokenFile
from qgjob.client.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_token_file_is_read_again_after_a_while(tmp_path: Path) -> None:
    path, now = tmp_path / "token", [0.0]
    path.write_text("one")
    token = TokenFile(path, clock=lambda: now[0])
    assert token.authorization() == "Bearer one"

    path.write_text("two")
    assert token.authorization() == "Bearer one"

    now[0] = TOKEN_FILE_SECONDS
    assert token.authorization() == "Bearer two"


def test_after_a_refusal_it_is_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one")
    token = TokenFile(path, clock=lambda: 0.0)
    token.authorization()
    assert not token.refresh()

    path.write_text("two")
    assert token.refresh()
    assert token.authorization() == "Bearer two"


def test_the_old_token_serves_while_the_file_is_replaced(tmp_path: Path) -> None:
    path, now = tmp_path / "token", [0.0]
    path.write_text("one")
    token = TokenFile(path, clock=lambda: now[0])
    token.authorization()
    path.unlink()
    now[0] = TOKEN_FILE_SECONDS

    assert token.authorization() == "Bearer one"


def test_a_file_that_was_never_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't read the token file"):
        TokenFile(tmp_path / "token").authorization()


def test_a_login_is_asked_again_only_after_a_refusal() -> None:
    answers = iter(["Bearer one", "Bearer two"])
    login = HookCredentials(lambda: next(answers))
    assert login.authorization() == login.authorization() == "Bearer one"

    assert login.refresh()
    assert login.authorization() == "Bearer two"
