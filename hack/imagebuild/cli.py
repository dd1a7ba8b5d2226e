"""The project's images: build them, bring them into the cluster, or send them to a registry.

Built with docker, podman or buildah, whichever works here. An image's tag is made from its content: what did not
change is not built or loaded again.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from hack.deployment import access_to
from hack.imagebuild.images import NAMES, Images
from hack.localcluster.choice import Wish, choose
from hack.localcluster.errors import ClusterError
from hack.localcluster.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hack.imagebuild.images import Image


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    arguments = _parser().parse_args(argv)
    report = Report()
    try:
        images = Images(report)
        arguments.run(arguments, images, report)
    except ClusterError as error:
        report.say(f"hack/images: {error}")
        return 1
    except KeyboardInterrupt:
        report.say("hack/images: interrupted; what was built stays")
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hack/images", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    build = commands.add_parser("build", help="build images; print their full names")
    build.set_defaults(run=_build)
    load = commands.add_parser("load", help="build images and put them into the cluster of hack/cluster")
    load.set_defaults(run=_load)
    for name in ("kubeconfig", "context"):
        load.add_argument(f"--{name}", help="as in hack/cluster")
    push = commands.add_parser(
        "push", help="build images and send them to a registry; print their names there"
    )
    push.add_argument("--registry", required=True, help="for example registry.example.com/team")
    push.set_defaults(run=_push)
    listing = commands.add_parser("list", help="list the images, and which are built")
    listing.set_defaults(run=_list)
    for command in (build, load, push, listing):
        command.add_argument(
            "name", nargs="*", default=NAMES, help=f"of {', '.join(NAMES)}; all of them else"
        )
    return parser


def _build(arguments: argparse.Namespace, images: Images, _report: Report) -> None:
    _print(images.build(arguments.name))


def _load(arguments: argparse.Namespace, images: Images, report: Report) -> None:
    cluster = choose(Wish.of(arguments.kubeconfig, arguments.context, None), report)
    _print(images.load(arguments.name, cluster, access_to(cluster, report).identity()))


def _push(arguments: argparse.Namespace, images: Images, _report: Report) -> None:
    _print(images.push(arguments.name, arguments.registry))


def _list(arguments: argparse.Namespace, images: Images, _report: Report) -> None:
    for name in arguments.name:
        image = images.image(name)
        sys.stdout.write(f"{image.reference}  {'built' if images.is_built(image) else 'not built'}\n")


def _print(images: Iterable[Image]) -> None:
    for image in images:
        sys.stdout.write(f"{image.reference}\n")
