"""The environment of the test's process: nothing in it gives access to the cluster, tests are not trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .drivers.base import BatchContext

_KEPT_FROM_TESTS: Final = frozenset({"KUBECONFIG", "POD_UID"})
_KEPT_FROM_TESTS_PREFIXES: Final = ("KUBERNETES_", "QGJOB_")


def base_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The runner's own environment without what concerns the cluster and the runner alone."""
    return {
        name: value
        for name, value in environment.items()
        if name not in _KEPT_FROM_TESTS and not name.startswith(_KEPT_FROM_TESTS_PREFIXES)
    }


def batch_environment(environment: Mapping[str, str], context: BatchContext) -> dict[str, str]:
    """What every process of the batch gets, the install too: the target's variables, app and device."""
    target = {variable.name: variable.value for variable in context.target.env}
    return base_environment(environment) | target | _about_batch(context)


def run_environment(
    environment: Mapping[str, str],
    context: BatchContext,
    *,
    job: str,
    job_env: Mapping[str, str],
    test: str,
    run: int,
    failures: int,
    report_dir: Path,
) -> dict[str, str]:
    """What one test's process gets. The TestJob's variables win over the target's, qgjob's own over both."""
    about_run = {
        "QGJOB_TEST": test,
        "QGJOB_JOB_ID": job,
        "QGJOB_ATTEMPT": str(run),
        "QGJOB_FAILURES": str(failures),
        "QGJOB_REPORT_DIR": str(report_dir),
    }
    return batch_environment(environment, context) | dict(job_env) | _about_batch(context) | about_run


def _about_batch(context: BatchContext) -> dict[str, str]:
    device = context.device
    return {
        "CI": "true",
        "QGJOB_APP_VERSION_ID": context.app_version_id,
        "QGJOB_APP_PATH": str(context.app_path or ""),
        "QGJOB_DEVICE": device.name if device else "",
        **({"ANDROID_SERIAL": device.address} if device and device.address else {}),
    }
