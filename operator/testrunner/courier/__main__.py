"""`python -m testrunner.courier --batch NAMESPACE/NAME`: the container that has a batch's credentials."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from qgjob.api.credentials import COURIER_VARIABLE
from qgjob.client import Client, ClientError

from ..artifacts.stores import open_store
from ..browserstack.sessions import close_left_open, left_open
from ..cache import VARIABLE as CACHE_VARIABLE
from ..cache import Cache
from ..drivers.base import InfrastructureError
from ..log import Log
from ..secrets import Secrets
from ..signals import on_termination
from .local import LocalCourier
from .rights import BatchRights
from .server import Server, Work
from .shared import SharedFolder


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM; returns the exit code."""
    options = _parser().parse_args(arguments)
    log, environment = Log(), dict(os.environ)
    path = environment.get(COURIER_VARIABLE)
    if not path or not environment.get("QGJOB_WORKDIR"):
        log.line(f"error: the courier needs {COURIER_VARIABLE} and QGJOB_WORKDIR: it is for a batch's pod")
        return 2
    try:
        client = Client.load(options.kubeconfig, None, options.batch.partition("/")[0])
    except ClientError as error:
        log.line(f"error: {error}")
        return 1
    server = Server(Path(path), lambda: _work(options, client, environment, log), log.line)
    on_termination(server.end)
    server.serve()
    _close_sessions(options, client, environment, log)
    return 0


def _close_sessions(
    options: argparse.Namespace, client: Client, environment: dict[str, str], log: Log
) -> None:
    """What a runner that died has left open in a device cloud; one that did not has closed it."""
    workdir = Path(environment["QGJOB_WORKDIR"])
    if not left_open(workdir):
        return
    namespace, _, batch = options.batch.partition("/")
    rights = BatchRights(client, namespace, batch)
    try:
        target = rights.target(rights.batch().target)
    except InfrastructureError as error:
        log.line(f"sessions that the runner left open were not closed: {error}")
        return
    close_left_open(workdir, environment, target, log.line)


def _work(options: argparse.Namespace, client: Client, environment: dict[str, str], log: Log) -> Work:
    """By the batch and its target, as they are when the runner asks first. Raises InfrastructureError."""
    namespace, _, batch = options.batch.partition("/")
    rights = BatchRights(client, namespace, batch)
    spec = rights.batch()
    target = rights.target(spec.target)
    store = None
    if target.artifacts is not None:
        store = open_store(target.artifacts, namespace=namespace, target=spec.target, environment=environment)
    courier = LocalCourier(
        target,
        spec.app_version_id,
        secrets=Secrets.find(environment),
        cache=Cache.find(target.cache, environment.get(CACHE_VARIABLE), log.line),
        environment=environment,
    )
    return Work(
        courier,
        store,
        rights,
        SharedFolder(Path(environment["QGJOB_WORKDIR"])),
        target_name=spec.target,
        fetch_seconds=float(target.timeouts.install_seconds),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m testrunner.courier",
        description="Fetches and stores for one TestBatch with its target's credentials, over a socket.",
    )
    parser.add_argument("--batch", required=True, metavar="NAMESPACE/NAME", help="the TestBatch")
    parser.add_argument("--kubeconfig", metavar="FILE", help="outside a cluster: how to reach the API server")
    return parser


if __name__ == "__main__":
    sys.exit(main())
