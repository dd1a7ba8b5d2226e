"""python -m hack.browserstack"""

from __future__ import annotations

import argparse
import contextlib
import sys

from hack.phone.journal import Journal

from . import faults
from .cloud import Cloud
from .server import Server


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="browserstack", description="A simulated BrowserStack App Automate."
    )
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument("--username", default="user")
    parser.add_argument("--access-key", default="key")
    parser.add_argument("--parallel", type=int, default=2, help="sessions at once, as the plan allows")
    parser.add_argument("--queue", type=int, default=2, help="sessions that may wait beyond that")
    parser.add_argument("--install-seconds", type=float, default=0.0, help="until a session is open")
    parser.add_argument("--fault", default="", help="a fault to begin with")
    args = parser.parse_args()
    journal = Journal(sys.stdout)
    cloud = Cloud(
        journal,
        username=args.username,
        access_key=args.access_key,
        parallel=args.parallel,
        queue=args.queue,
        install_seconds=args.install_seconds,
    )
    try:
        if args.fault:
            cloud.set_fault(faults.parse(args.fault))
        server = Server(cloud, args.host, args.port)
    except (faults.UnknownFaultError, OSError) as e:
        parser.exit(1, f"browserstack: {e}\n")
    journal.note("boot", port=server.server_address[1])
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
