"""What tests of several services share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hack.s3server import S3Server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 store, one for each file of tests."""
    with S3Server(tmp_path_factory.mktemp("s3") / "server") as running:
        yield running
