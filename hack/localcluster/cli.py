"""A Kubernetes cluster to try qgjob on.

It is, in this order: the one that you name by --kubeconfig, --context or QGJOB_KUBECONFIG; kind, where Docker
or Podman answers; else a local one on this machine, built from source the first time (needs root).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from hack.localcluster import programs
from hack.localcluster.choice import Wish, choose
from hack.localcluster.errors import ClusterError
from hack.localcluster.kubectl import find_kubectl
from hack.localcluster.report import Report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hack.localcluster.cluster import Cluster, ComponentStatus


OPTIONS_WITH_VALUE = ("--kubeconfig", "--context", "--provider")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    arguments = _parser().parse_args(protect_kubectl_arguments(sys.argv[1:] if argv is None else argv))
    report = Report()
    try:
        return int(arguments.run(arguments, report))
    except ClusterError as error:
        report.say(f"hack/cluster: {error}")
        return 1
    except KeyboardInterrupt:
        report.say("hack/cluster: interrupted; `hack/cluster up` goes on, `hack/cluster down` cleans up")
        return 130


def protect_kubectl_arguments(argv: Sequence[str]) -> list[str]:
    """Set off what is meant for kubectl by `--`: all that follows our own options, whatever it looks like."""
    if not argv or argv[0] != "kubectl":
        return list(argv)
    end = 1
    while end < len(argv) and argv[end].split("=")[0] in OPTIONS_WITH_VALUE:
        end += 1 if "=" in argv[end] else 2
    rest = list(argv[end:])
    if rest[:1] in (["--help"], ["-h"], ["--"]):
        return list(argv)
    return [*argv[:end], "--", *rest]


def _parser() -> argparse.ArgumentParser:
    which = argparse.ArgumentParser(add_help=False)
    group = which.add_argument_group("which cluster")
    group.add_argument("--kubeconfig", metavar="FILE", help="use the cluster of this file")
    group.add_argument("--context", metavar="NAME", help="use the cluster of this context")
    group.add_argument("--provider", choices=("kind", "local"), help="make this kind of cluster")

    parser = argparse.ArgumentParser(
        prog="hack/cluster", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", parents=[which], help="bring the cluster up, or repair it")
    up.set_defaults(run=_up)

    down = commands.add_parser("down", parents=[which], help="remove the cluster and all that is in it")
    down.set_defaults(run=_down)

    status = commands.add_parser("status", parents=[which], help="show how the cluster's parts are")
    status.add_argument("--output", "-o", choices=("table", "json"), default="table")
    status.set_defaults(run=_status)

    kubeconfig = commands.add_parser("kubeconfig", parents=[which], help="print the path of the kubeconfig")
    kubeconfig.set_defaults(run=_kubeconfig)

    load = commands.add_parser("load", parents=[which], help="put images of docker or OCI archives into it")
    load.add_argument("archive", nargs="+", type=Path)
    load.set_defaults(run=_load)

    kubectl = commands.add_parser("kubectl", parents=[which], help="run kubectl on the cluster")
    kubectl.add_argument("arguments", nargs=argparse.REMAINDER)
    kubectl.set_defaults(run=_kubectl)

    binaries = commands.add_parser(
        "binaries", help="build the local cluster's programs; print where they are"
    )
    binaries.add_argument("program", nargs="*", help="only these, e.g. kubectl")
    binaries.set_defaults(run=_binaries)
    return parser


def _chosen(arguments: argparse.Namespace, report: Report) -> Cluster:
    return choose(Wish.of(arguments.kubeconfig, arguments.context, arguments.provider), report)


def _up(arguments: argparse.Namespace, report: Report) -> int:
    _chosen(arguments, report).up()
    return 0


def _down(arguments: argparse.Namespace, report: Report) -> int:
    _chosen(arguments, report).down()
    return 0


def _status(arguments: argparse.Namespace, report: Report) -> int:
    cluster = _chosen(arguments, report)
    components = cluster.status()
    healthy = bool(components) and all(component.healthy for component in components)
    if arguments.output == "json":
        parts = [asdict(component) for component in components]
        sys.stdout.write(
            json.dumps({"kind": cluster.kind, "healthy": healthy, "components": parts}, indent=2) + "\n"
        )
    elif components:
        for line in table(components):
            report.say(line)
    else:
        report.say(f"there is no {cluster.kind} cluster; `hack/cluster up` makes one")
    return 0 if healthy else 1


def table(components: Sequence[ComponentStatus]) -> list[str]:
    """Lay out components for reading."""
    rows = [("COMPONENT", "PID", "HEALTH")]
    for each in components:
        health = "ok" if each.healthy else f"not well: {each.detail}"
        rows.append((each.name, str(each.pid or "-"), health))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return [f"{name:<{widths[0]}}  {pid:>{widths[1]}}  {health}" for name, pid, health in rows]


def _kubeconfig(arguments: argparse.Namespace, report: Report) -> int:
    sys.stdout.write(f"{_chosen(arguments, report).kubeconfig()}\n")
    return 0


def _load(arguments: argparse.Namespace, report: Report) -> int:
    _chosen(arguments, report).load(arguments.archive)
    return 0


def _kubectl(arguments: argparse.Namespace, report: Report) -> int:
    kubeconfig = _chosen(arguments, report).kubeconfig()
    kubectl = find_kubectl(report)
    words = arguments.arguments[1:] if arguments.arguments[:1] == ["--"] else arguments.arguments
    os.execv(kubectl, ["kubectl", "--kubeconfig", str(kubeconfig), *words])


def _binaries(arguments: argparse.Namespace, report: Report) -> int:
    names = arguments.program or [name for release in programs.LOCAL_CLUSTER for name in release.packages]
    releases = {programs.find_release(name).name: programs.find_release(name) for name in names}
    programs.ensure_built(list(releases.values()), report)
    for name in names:
        sys.stdout.write(f"{programs.find_release(name).path(name)}\n")
    return 0
