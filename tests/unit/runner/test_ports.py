"""Ports for servers of the runner's own."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from testrunner import ports
from testrunner.ports import free_port

if TYPE_CHECKING:
    import pytest


def test_it_is_free_and_below_those_that_clients_and_services_get() -> None:
    port = free_port()

    assert port < 30000
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))


def test_one_that_somebody_has_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = [taken := free_port(), free := free_port()]
    monkeypatch.setattr(ports.secrets, "choice", lambda _: offered.pop(0))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", taken))

        assert free_port() == free
