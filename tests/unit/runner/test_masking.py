"""Secret values in all the shapes in which a test may print them."""

from __future__ import annotations

import base64
import io
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from qgjob.api.testtarget import TestTargetSpec
from testrunner.log import Log
from testrunner.masking import MASK, Masks, secret_variables, too_short
from testrunner.process import MAX_LINE_BYTES, run_process
from testrunner.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = 'p@ss/w"örd&1'
KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEAAoIB\n-----END KEY-----\n"


@pytest.mark.parametrize(
    "shape",
    [
        str,
        lambda value: quote(value, safe=""),
        lambda value: re.sub("%..", lambda found: found[0].lower(), quote(value, safe="")),
        quote,
        json.dumps,
        lambda value: json.dumps(value, ensure_ascii=False),
        lambda value: value.replace("&", "&amp;").replace('"', "&quot;"),
        lambda value: value.replace("&", "&amp;"),
        lambda value: base64.b64encode(value.encode()).decode(),
        lambda value: base64.urlsafe_b64encode(value.encode()).decode().rstrip("="),
        *(lambda value, n=n: base64.b64encode(b"u" * n + value.encode() + b"x").decode() for n in range(4)),
    ],
)
def test_a_value_is_found_in_every_shape(shape: Callable[[str], str]) -> None:
    printed = shape(SECRET)

    masked = Masks([SECRET]).text(f"before {printed} after")

    assert MASK in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    # Up to three characters of base64 on each side hang on what stands around the value.
    assert len(masked.replace(MASK, "")) <= len("before  after") + 8


def test_each_line_of_a_value_with_several_is_a_secret() -> None:
    assert Masks([KEY]).text("x MIIEvQIBADANBgkqhkiG9w0B y") == "x *** y"


def test_a_short_value_is_left_alone_and_told() -> None:
    target = TestTargetSpec.model_validate(
        {
            "secretEnv": [
                {"name": "PIN", "secret": "s", "key": "pin"},
                {"name": "TOKEN", "secret": "s", "key": "t"},
            ]
        }
    )
    environment = {"PIN": "12345", "TOKEN": "123456"}

    assert Masks(environment.values()).text("12345 123456") == "12345 ***"
    assert too_short(target, environment) == ["PIN"]


def test_where_one_value_begins_with_another_all_of_it_goes() -> None:
    assert Masks(["secret", "secret-and-more"]).text("a secret-and-more b secret c") == "a *** b *** c"


def test_a_message_that_was_cut_within_a_value_does_not_keep_its_beginning() -> None:
    masks = Masks(["correct-horse-battery"])

    assert masks.message("Error: typed correct-horse-b") == "Error: typed ***"
    assert masks.message("Error: typed correct-horse-b…") == "Error: typed ***…"
    assert masks.message("Error: typed corr") == "Error: typed corr"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_a_stream_is_masked_wherever_it_is_cut(size: int) -> None:
    text = f"one {SECRET} two {SECRET[:5]} three {SECRET}{SECRET}".encode()
    stream = Masks([SECRET]).stream()

    masked = b"".join(stream.feed(text[at : at + size]) for at in range(0, len(text), size)) + stream.finish()

    assert masked.decode() == f"one *** two {SECRET[:5]} three ******"


def test_a_stream_holds_back_nothing_but_the_beginning_of_a_value() -> None:
    stream = Masks([SECRET]).stream()

    assert stream.feed(b"a line\nand p@ss") == b"a line\nand "
    assert stream.feed(b"word\n") == b"p@ssword\n"


def test_a_value_across_the_pieces_of_a_long_line_is_masked() -> None:
    lines: list[str] = []
    script = (
        f"import sys; sys.stdout.write('x' * {MAX_LINE_BYTES - 4}); sys.stdout.flush(); "
        "sys.stdout.write('token'); sys.stdout.flush(); sys.stdout.write('-4711 end\\n')"
    )

    run_process(
        [sys.executable, "-c", script],
        cwd=Path.cwd(),
        env={},
        timeout=60,
        stop=StopToken(),
        on_line=lines.append,
        masks=Masks(["token-4711"]),
    )

    assert "".join(lines) == "x" * (MAX_LINE_BYTES - 4) + "*** end"


def test_the_log_masks_both_ways_and_keeps_its_frames(tmp_path: Path) -> None:
    stream = io.StringIO()
    log = Log(stream)
    log.mask(Masks(["my-job-name"]))
    log.begin("my-job-name", 1, copy=tmp_path / "log.txt")
    log.output("it is my-job-name")
    log.line("said my-job-name")
    log.end("my-job-name", 1, "passed")

    assert stream.getvalue().splitlines() == [
        "::qgjob:: begin my-job-name attempt=1",
        "it is ***",
        "said ***",
        "::qgjob:: end my-job-name attempt=1 outcome=passed",
    ]
    assert (tmp_path / "log.txt").read_text() == "it is ***\nsaid ***\n"


def test_browserstacks_credentials_are_secrets_of_the_target() -> None:
    browserstack = {"device": "Google Pixel 8", "osVersion": "14.0", "credentialsSecret": "bs"}
    target = TestTargetSpec.model_validate(
        {"provider": {"browserstack": browserstack}, "app": {"url": "https://x/{appVersionId}"}}
    )

    assert secret_variables(target) == ["BROWSERSTACK_USERNAME", "BROWSERSTACK_ACCESS_KEY"]
