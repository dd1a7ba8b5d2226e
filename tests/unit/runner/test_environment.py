from __future__ import annotations

from pathlib import Path

import pytest

from qgjob.api.testbatch import BatchDevice
from qgjob.api.testtarget import TestTargetSpec
from testrunner.drivers.base import BatchContext
from testrunner.environment import base_environment, run_environment

CONTEXT = BatchContext(
    namespace="ns",
    batch="tb-1",
    target=TestTargetSpec.model_validate(
        {"env": [{"name": "LANGUAGE", "value": "en"}, {"name": "BACKEND", "value": "staging"}]}
    ),
    app_version_id="v1",
    device=BatchDevice(name="pixel-1", address="10.0.0.5:5555"),
    app_path=Path("/work/app.apk"),
    workdir=Path("/work"),
    sources=[],
    log=lambda _: None,
)


def of_run(**job_env: str) -> dict[str, str]:
    return run_environment(
        {"PATH": "/bin"},
        CONTEXT,
        job="job-1",
        job_env=job_env,
        test="a.spec.ts",
        run=2,
        failures=1,
        report_dir=Path("/work/reports"),
    )


def test_a_test_gets_what_programs_need() -> None:
    needed = {
        "PATH": "/bin",
        "HOME": "/tmp",
        "LC_ALL": "C.UTF-8",
        "https_proxy": "http://proxy:3128",
        "NO_PROXY": "10.0.0.0/8",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "ANDROID_HOME": "/opt/android",
        "JAVA_HOME": "/opt/java",
        "NODE_OPTIONS": "--max-old-space-size=512",
    }

    assert base_environment(needed) == needed


@pytest.mark.parametrize(
    "name",
    [
        "KUBERNETES_PORT",
        "KUBECONFIG",
        "QGJOB_WORKDIR",
        "POD_UID",
        "NODE_NAME",
        "NODE_AUTH_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "GIT_PASSWORD",
    ],
)
def test_what_the_pod_was_given_stays_with_the_runner(name: str) -> None:
    assert base_environment({name: "secret"}) == {}


def test_a_test_knows_what_it_is() -> None:
    assert of_run() == {
        "PATH": "/bin",
        "CI": "true",
        "LANGUAGE": "en",
        "BACKEND": "staging",
        "ANDROID_SERIAL": "10.0.0.5:5555",
        "QGJOB_APP_PATH": "/work/app.apk",
        "QGJOB_APP_VERSION_ID": "v1",
        "QGJOB_ATTEMPT": "2",
        "QGJOB_DEVICE": "pixel-1",
        "QGJOB_FAILURES": "1",
        "QGJOB_JOB_ID": "job-1",
        "QGJOB_REPORT_DIR": "/work/reports",
        "QGJOB_TEST": "a.spec.ts",
    }


def test_the_test_jobs_variables_win_over_the_targets() -> None:
    assert of_run(BACKEND="local")["BACKEND"] == "local"


def test_nobody_can_change_what_qgjob_says() -> None:
    forged = of_run(QGJOB_JOB_ID="another", ANDROID_SERIAL="10.0.0.9:5555")

    assert (forged["QGJOB_JOB_ID"], forged["ANDROID_SERIAL"]) == ("job-1", "10.0.0.5:5555")
