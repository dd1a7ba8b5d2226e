"""The operator's settings: each is a flag, and an environment variable: --log-level is QGJOB_LOG_LEVEL."""

from __future__ import annotations

import argparse
import os
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ENVIRONMENT_PREFIX: Final = "QGJOB_"
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
DEFAULT_NAMESPACE: Final = "qgjob-system"
LOG_FORMATS: Final = ("json", "text")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")


class SettingsError(ValueError):
    """A setting that cannot be; the text is one line for the person who gave it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator was told. Times in seconds."""

    kubeconfig: str
    context: str
    namespace: str
    runner_image: str
    appwright_image: str
    ageing_seconds: float
    gather_seconds: float
    ttl_seconds_after_finished: float
    batch_ttl_seconds: float
    lease_name: str
    lease_namespace: str
    lease_duration_seconds: float
    lease_renew_deadline_seconds: float
    lease_retry_seconds: float
    identity: str
    write_concurrency: int
    metrics_host: str
    metrics_port: int
    log_level: str
    log_format: Literal["json", "text"]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}; see python -m testqueue --help")


def parse(arguments: Sequence[str], environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from flags, then the environment, then defaults.

    Raises SettingsError for what cannot be, and SystemExit after --help.
    """
    parser = _parser(os.environ if environ is None else environ)
    settings = Settings(**vars(parser.parse_args(list(arguments))))
    _check(settings)
    return settings


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m testqueue",
        description="The qgjob operator. Every flag is also a variable: --log-level is QGJOB_LOG_LEVEL.",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )

    def add(flag: str, default: object, description: str, **options: Any) -> None:
        variable = ENVIRONMENT_PREFIX + flag.upper().replace("-", "_")
        parser.add_argument(
            f"--{flag}", default=environ.get(variable) or default, help=description, **options
        )

    add("kubeconfig", "", "kubeconfig file; without it the operator must run in a pod", metavar="FILE")
    add("context", "", "the kubeconfig's context; its current one otherwise")
    add("namespace", "", "serve this namespace only; all otherwise")
    add("runner-image", "qgjob-runner:latest", "image of the runner, unless the target names one")
    add("appwright-image", "qgjob-runner-appwright:latest", "the same for the driver appwright")
    add("ageing-seconds", 3600.0, "waiting that weighs as much as one step of priority", type=_positive)
    add(
        "gather-seconds",
        0.25,
        "a new group's first batch waits until no TestJob has joined it for so long, 2 s at most; 0: not at all",
        type=_seconds,
    )
    add(
        "ttl-seconds-after-finished",
        86400.0,
        "how long Succeeded and Cancelled TestJobs are kept",
        type=_seconds,
    )
    add("batch-ttl-seconds", 3600.0, "TestBatches that are over are kept so long", type=_seconds)
    add("lease-name", "qgjob-operator", "the Lease that makes one replica the leader")
    add("lease-namespace", _own_namespace(environ), "where that Lease is")
    add("lease-duration-seconds", 15.0, "another replica takes over after so long a silence", type=_positive)
    add("lease-renew-deadline-seconds", 10.0, "a leader that cannot renew so long exits", type=_positive)
    add("lease-retry-seconds", 2.0, "between tries to get or renew the Lease", type=_positive)
    add("identity", _identity(environ), "this replica's name in the Lease")
    add("write-concurrency", 32, "requests that write, at once", type=_count)
    add("metrics-host", "0.0.0.0", "address of /metrics, /healthz and /readyz")  # noqa: S104
    add("metrics-port", 8080, "port of /metrics, /healthz and /readyz; 0 takes a free one", type=_port)
    add("log-level", "info", "least level that is logged", choices=LOG_LEVELS)
    add("log-format", "json", "form of a log line", choices=LOG_FORMATS)
    return parser


def _check(settings: Settings) -> None:
    # argparse checks choices of flags only, not of the defaults that the environment gives.
    if settings.log_level not in LOG_LEVELS:
        raise SettingsError(f"log level {settings.log_level!r}: choose of {', '.join(LOG_LEVELS)}")
    if settings.log_format not in LOG_FORMATS:
        raise SettingsError(f"log format {settings.log_format!r}: choose of {', '.join(LOG_FORMATS)}")
    if settings.kubeconfig and not Path(settings.kubeconfig).expanduser().is_file():
        raise SettingsError(f"there is no kubeconfig at {settings.kubeconfig}")
    if not settings.kubeconfig and not (SERVICE_ACCOUNT / "token").exists():
        raise SettingsError("this is not a pod with a service account: give the cluster by --kubeconfig FILE")
    if settings.context and not settings.kubeconfig:
        raise SettingsError("--context needs --kubeconfig")
    if not settings.lease_renew_deadline_seconds < settings.lease_duration_seconds:
        raise SettingsError(
            "--lease-renew-deadline-seconds must be less than --lease-duration-seconds: "
            "else two replicas would lead at once"
        )
    if not settings.lease_retry_seconds < settings.lease_renew_deadline_seconds:
        raise SettingsError("--lease-retry-seconds must be less than --lease-renew-deadline-seconds")


def _own_namespace(environ: Mapping[str, str]) -> str:
    if namespace := environ.get("POD_NAMESPACE"):
        return namespace
    try:
        return (SERVICE_ACCOUNT / "namespace").read_text().strip() or DEFAULT_NAMESPACE
    except OSError:
        return DEFAULT_NAMESPACE


def _identity(environ: Mapping[str, str]) -> str:
    # Unique to the process: after a restart the old name's Lease must not look like one's own.
    return f"{environ.get('POD_NAME') or socket.gethostname()}_{uuid.uuid4().hex[:8]}"


def _number(convert: Callable[[str], float], low: float, high: float, what: str) -> Callable[[str], Any]:
    def read(text: str) -> float:
        try:
            value = convert(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
        return value

    return read


_seconds = _number(float, 0, 10**9, "a number of seconds")
_positive = _number(float, 0.001, 10**9, "a number of seconds above 0")
_count = _number(int, 1, 1000, "a whole number from 1 to 1000")
_port = _number(int, 0, 65535, "a port")
