"""`python -m testrunner --batch NAMESPACE/NAME`: the runner, in a batch's pod or outside a cluster."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import uuid
from pathlib import Path

from qgjob import __version__
from qgjob.client import ApiError, Client, ClientError

from .identity import Pod
from .log import Log
from .session import EXIT_FAILED, Session
from .signals import on_termination

#: A bad command line.
EXIT_USAGE = 2


def main(arguments: list[str] | None = None) -> int:
    """Run one batch; returns the exit code (see testrunner.session)."""
    options = _parser().parse_args(arguments)
    log = Log()
    namespace, _, batch = options.batch.partition("/")
    if not namespace or not batch or "/" in batch:
        log.line(f"error: --batch {options.batch}: give it as NAMESPACE/NAME")
        return EXIT_USAGE
    environment = dict(os.environ)
    pod = Pod.from_environment(environment, uuid.uuid4)
    root = Path(options.workdir or environment.get("QGJOB_WORKDIR") or tempfile.gettempdir())
    try:
        client = Client.load(options.kubeconfig, options.context, namespace)
        root.mkdir(parents=True, exist_ok=True)
        workdir = Path(tempfile.mkdtemp(prefix=f"{batch}-", dir=root))
        session = Session(
            client, namespace, batch, pod=pod, workdir=workdir, environment=environment, log=log
        )
        on_termination(session.interruption.terminate)
        return session.run()
    except ClientError as error:
        log.line(f"error: TestBatch {options.batch}: {_explain(error)}")
    except OSError as error:
        log.line(f"error: {error}")
    return EXIT_FAILED


def _explain(error: ClientError) -> str:
    text = str(error)
    if isinstance(error, ApiError) and error.status == 403:
        return f"{text}. Is the runner's service account bound to the ClusterRole qgjob-runner?"
    if isinstance(error, ApiError) and error.is_not_found and not error.details.get("name"):
        return f"{text}. Are qgjob's CRDs installed in this cluster?"
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m testrunner",
        description="Runs one TestBatch: installs the app once, runs its TestJobs.",
    )
    parser.add_argument("--batch", required=True, metavar="NAMESPACE/NAME", help="the TestBatch to run")
    parser.add_argument("--kubeconfig", metavar="FILE", help="outside a cluster: how to reach the API server")
    parser.add_argument("--context", metavar="NAME", help="the kubeconfig's context")
    parser.add_argument("--workdir", metavar="FOLDER", help="scratch space (QGJOB_WORKDIR otherwise)")
    parser.add_argument("--version", action="version", version=f"qgjob runner {__version__}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
