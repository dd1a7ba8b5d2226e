"""The environment of the test's process: of the runner's only what programs need, tests are not trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from qgjob.api.testtarget import TestTargetSpec

    from .drivers.base import BatchContext

#: What a program of any kind may need to run in this image. All else stays with the runner: what a pod is given
#: (credentials, its names in the cluster) is not for tests, unless the target's or the TestJob's `env` says so.
PASSED_ON: Final = frozenset(
    {
        # the system
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LANG", "LANGUAGE", "LD_LIBRARY_PATH"),
        # the network
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"),
        # Android
        *("ANDROID_HOME", "ANDROID_SDK_ROOT", "ANDROID_USER_HOME", "ANDROID_AVD_HOME", "ADB_VENDOR_KEYS"),
        # languages: by name, because NODE_AUTH_TOKEN and NODE_NAME are none of a test's business
        *("JAVA_HOME", "JAVA_TOOL_OPTIONS"),
        *("NODE_PATH", "NODE_OPTIONS", "NODE_ENV", "NODE_COMPILE_CACHE", "PLAYWRIGHT_BROWSERS_PATH"),
        *("VIRTUAL_ENV", "PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"),
    }
)
_PASSED_ON_PREFIX: Final = "LC_"


def base_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What processes of the batch get of the runner's own environment."""
    return {
        name: value
        for name, value in environment.items()
        if name in PASSED_ON or name.startswith(_PASSED_ON_PREFIX)
    }


def batch_environment(environment: Mapping[str, str], context: BatchContext) -> dict[str, str]:
    """What every process of the batch gets, the install too: the target's variables, app and device."""
    return target_environment(environment, context.target) | _about_batch(context)


def target_environment(environment: Mapping[str, str], target: TestTargetSpec) -> dict[str, str]:
    """The same without what only a batch with its device knows: for preparing sources."""
    own = {variable.name: variable.value for variable in target.env}
    # The pod has them as its own variables, from Secrets that the runner itself may not read.
    secret = {each.name: environment[each.name] for each in target.secret_env if each.name in environment}
    return base_environment(environment) | own | secret


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
