"""`python -m hack.s3server` builds the server where that was not done yet, and prints its program's path."""

from __future__ import annotations

from hack.localcluster.programs import ensure_built
from hack.localcluster.report import Report
from hack.s3server.server import VERSITYGW

if __name__ == "__main__":
    ensure_built([VERSITYGW], Report())
    print(VERSITYGW.path("versitygw"))
