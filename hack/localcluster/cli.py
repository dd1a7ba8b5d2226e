"""What a person types: `hack/cluster up | down | status | …`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from hack.localcluster import programs
from hack.localcluster.errors import ClusterError
from hack.localcluster.report import Report

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    arguments = _parser().parse_args(argv)
    report = Report()
    try:
        return int(arguments.run(arguments, report))
    except ClusterError as error:
        report.say(f"hack/cluster: {error}")
        return 1
    except KeyboardInterrupt:
        report.say("hack/cluster: interrupted; `hack/cluster down` cleans up, `up` goes on")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hack/cluster", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    binaries = commands.add_parser(
        "binaries", help="build the local cluster's programs; print where they are"
    )
    binaries.add_argument("program", nargs="*", help="only these, e.g. kubectl")
    binaries.set_defaults(run=_binaries)
    return parser


def _binaries(arguments: argparse.Namespace, report: Report) -> int:
    names = arguments.program or [name for release in programs.LOCAL_CLUSTER for name in release.packages]
    releases = list(dict.fromkeys(programs.find_release(name).name for name in names))
    programs.ensure_built([programs.RELEASES[name] for name in releases], report)
    for name in names:
        sys.stdout.write(f"{programs.find_release(name).path(name)}\n")
    return 0
