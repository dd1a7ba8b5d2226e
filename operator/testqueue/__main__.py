"""`python -m testqueue`: the operator, in a pod or outside of the cluster."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

from testqueue.kube.credentials import CredentialsError, credentials
from testqueue.kube.lease import LeaseLostError
from testqueue.kube.paths import resource_of
from testqueue.kube.session import ApiSession
from testqueue.logs import configure
from testqueue.metrics import Metrics
from testqueue.operator import Operator
from testqueue.settings import Settings, SettingsError, parse

logger = logging.getLogger("testqueue")


def main() -> int:
    """Run until SIGTERM or SIGINT. 0: stopped in good order; 1: lost the Lease, or could not go on; 2: settings."""
    try:
        settings = parse(sys.argv[1:])
    except SettingsError as error:
        print(f"testqueue: {error}", file=sys.stderr)  # noqa: T201 (there is no log yet)
        return 2
    configure(settings.log_level, settings.log_format)
    try:
        asyncio.run(_serve(settings))
    except (LeaseLostError, CredentialsError, OSError) as error:
        logger.error("%s", error)
        return 1
    logger.info("stopped")
    return 0


async def _serve(settings: Settings) -> None:
    metrics = Metrics()
    user = credentials(settings.kubeconfig, settings.context)
    user.current()  # a kubeconfig that can't be used is said now, not again and again

    def count_write(verb: str, path: str, code: str) -> None:
        metrics.api_writes.labels(verb=verb, resource=resource_of(path), code=code).inc()

    async with ApiSession(user, count_write=count_write) as session:
        operator = Operator(settings, session, user, metrics)
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, operator.stop)
        await operator.run()


if __name__ == "__main__":
    sys.exit(main())
