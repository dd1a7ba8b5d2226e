"""Faults at each step of a batch of three TestJobs: real operator, real runners, a simulated phone or cloud.

The operator sees pods that end and are deleted (tests/apiserver/node.py). What each trial asserts beside its own words:
phases and counters of all three TestJobs (maxRetries is spent by test failures only), messages in plain words (no
traceback, no path, no secret), no lease held, no process and no session of BrowserStack left. docs/development.md
says which faults other modules show.
"""

from __future__ import annotations

import itertools
import re
import sys
import time
from typing import TYPE_CHECKING

import pytest

from hack.browserstack import faults
from qgjob.api.constants import TEST_JOBS
from testrunner.answers import REQUEST_SECONDS
from tests.apiserver.fault_support import (
    ACCESS_KEY,
    APP,
    USERNAME,
    WELL,
    Builds,
    End,
    Scene,
    Trial,
    charged,
    mistake,
)
from tests.apiserver.node import Node
from tests.apiserver.operator_support import OperatorProcess
from tests.apiserver.proxy import Proxy
from tests.apiserver.runner_support import World, eventually
from tests.e2e.appwright.support import SimulatedPhone
from tests.unit.browserstack_support import SCRIPT, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hack.localcluster.throwaway import ThrowawayControlPlane

NAMESPACE = "faults"


@pytest.fixture(scope="module")
def scene(crds: ThrowawayControlPlane, adb: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    crds.client.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    folder = tmp_path_factory.mktemp("faults")
    world = World(crds.kubeconfig, NAMESPACE, folder)
    with (
        SimulatedPhone(folder / "phone.log") as phone,
        running(parallel=2, queue=2, username=USERNAME, access_key=ACCESS_KEY) as cloud,
        Builds() as builds,
    ):
        found = Scene(world, phone, cloud, builds)
        with Node(world, found.env) as node:
            found.node, found.operator = node, OperatorProcess(world)
            found.operator.wait_until_it_leads()
            yield found
            found.operator.kill()
    crds.client.delete(f"/api/v1/namespaces/{NAMESPACE}")


@pytest.fixture
def trial(scene: Scene) -> Iterator[Trial]:
    yield scene.begin()
    scene.phone.fault("none")
    scene.cloud.cloud.set_fault(faults.parse("none"))


# Before the install: the app.


def test_an_app_that_is_not_there_is_told_at_once(trial: Trial) -> None:
    trial.on_phone("", app={"url": f"{trial.scene.builds.url}/404/{{appVersionId}}.apk"})
    trial.submit()

    gone = mistake(r"doesn't exist .*404.*upload it, then submit again", "AppVersionNotFound")
    trial.ends(one=gone, two=gone, three=gone)
    assert (trial.installs, len(trial.batches()), trial.scene.builds.times("404")) == (0, 1, 1)


@pytest.mark.parametrize("way", ["first-500", "first-cut"])
def test_a_download_that_fails_once_costs_nobody_anything(trial: Trial, way: str) -> None:
    trial.on_phone("", app={"url": f"{trial.scene.builds.url}/{way}/{{appVersionId}}.apk"})
    trial.submit()

    trial.ends(one=WELL, two=WELL, three=WELL)
    assert (trial.installs, len(trial.batches())) == (1, 1)


@pytest.mark.parametrize(
    ("app", "words"),
    [
        ({"url": "500"}, r"longer than 3 s .*installSeconds\): .*HTTP 500"),
        ({"url": "good", "sha256Url": "sha256"}, r"its sha256 is \w+, not 0{64}"),
        ({"url": "401"}, r"HTTP 401.*set app.headersSecret in the TestTarget"),
    ],
    ids=["500", "sha256", "401"],
)
def test_an_app_that_can_not_be_had_is_a_dead_letter_of_the_infrastructure(
    trial: Trial, app: dict[str, str], words: str
) -> None:
    urls = {field: f"{trial.scene.builds.url}/{way}/{{appVersionId}}.apk" for field, way in app.items()}
    own = {"backoffSeconds": 0, "infrastructureRetries": 0}
    trial.on_phone("", app=urls, retry=own, timeouts={"installSeconds": 3})
    trial.submit()

    end = End("DeadLettered", infrastructure=1, words=words, reason="Infrastructure")
    trial.ends(one=end, two=end, three=end)
    assert trial.installs == 0


# Before the install: the phone.


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("vanish", r"pixel .* does not answer: .*refused"),
        ("unauthorized", r"pixel .* does not answer: .*authenticate .*ADB_VENDOR_KEYS"),
        ("no-packages", r"Can't find service: package"),
    ],
)
def test_a_phone_that_is_not_usable_is_tried_again(trial: Trial, fault: str, words: str) -> None:
    trial.phone.fault(fault)
    trial.on_phone("", timeouts={"installSeconds": 5})
    trial.submit()
    trial.broken_once()
    trial.phone.fault("none")

    trial.ends(one=charged(words), two=charged(words), three=charged(words))
    assert (trial.installs, len(trial.batches())) == (1, 2)


# In the install.


def test_a_phone_that_vanishes_in_the_install_is_tried_again(trial: Trial) -> None:
    install = (
        'adb install -r -g -t "$QGJOB_APP_PATH"; touch "$MARKS/installing"; '
        "for each in 1 2 3 4 5; do adb shell echo || exit 1; sleep 0.5; done"
    )
    trial.on_phone("", install=install)
    trial.submit()
    trial.reached("installing")
    trial.phone.fault("vanish")
    trial.broken_once()
    trial.phone.fault("none")

    lost = charged(r"pixel .* is lost")
    trial.ends(one=lost, two=lost, three=lost)
    assert (trial.installs, len(trial.batches())) == (2, 2)


@pytest.mark.parametrize(
    "said",
    [
        "INSTALL_PARSE_FAILED_NO_CERTIFICATES: Failed to collect certificates from /data/app/vmdl7.tmp/base.apk",
        "INSTALL_FAILED_OLDER_SDK: Requires newer sdk version #35 (current version is #34)",
    ],
)
def test_an_app_that_no_phone_takes_is_told_at_once(trial: Trial, said: str) -> None:
    trial.phone.fault(f"install:{said}")
    trial.on_phone("")
    trial.submit()

    end = mistake(said.partition(":")[0], "AppInvalid")
    trial.ends(one=end, two=end, three=end)
    assert (trial.installs, len(trial.batches())) == (0, 1)


@pytest.mark.parametrize(
    "said",
    [
        "INSTALL_FAILED_USER_RESTRICTED: Install canceled by user",
        "-99: a word of a vendor's own",
    ],
)
def test_a_phone_that_refuses_an_app_is_tried_again(trial: Trial, said: str) -> None:
    trial.phone.fault(f"install:{said}")
    trial.on_phone("")
    trial.submit()
    trial.broken_once()
    trial.phone.fault("none")

    refused = charged(f"install command ended with .*{said.partition(':')[0]}")
    trial.ends(one=refused, two=refused, three=refused)
    assert (trial.installs, len(trial.batches())) == (1, 2)


def test_an_install_that_hangs_says_which_limit_it_met(trial: Trial) -> None:
    install = 'test -e "$MARKS/hung" || { touch "$MARKS/hung"; sleep 60; }; adb install "$QGJOB_APP_PATH"'
    trial.on_phone("", install=install, timeouts={"installSeconds": 4})
    trial.submit()

    late = charged(r"longer than 4 s \(the TestTarget's timeouts.installSeconds\)")
    trial.ends(one=late, two=late, three=late)
    assert trial.installs == 1


def test_a_runner_that_is_killed_in_the_install_costs_no_retry(trial: Trial) -> None:
    install = 'test -e "$MARKS/hung" || { touch "$MARKS/hung"; sleep 60; }; adb install "$QGJOB_APP_PATH"'
    trial.on_phone("", install=install)
    trial.submit()
    trial.reached("hung")
    trial.scene.node.wait_for_runner(trial.target).kill()

    killed = charged(r"container runner ended with exit code 137")
    trial.ends(one=killed, two=killed, three=killed)
    assert trial.installs == 1


# Between two tests.


SLOW_CLEAR = f'test -e "$MARKS/between" || {{ touch "$MARKS/between"; sleep 2; }}; adb shell pm clear {APP}'


@pytest.mark.parametrize("fault", ["vanish", "reboot:1"])
def test_a_phone_that_goes_between_two_tests_costs_the_next_one(trial: Trial, fault: str) -> None:
    trial.on_phone("", clear=SLOW_CLEAR)
    trial.submit()
    trial.reached("between")
    trial.phone.fault(fault)
    trial.broken_once()
    trial.phone.fault("none")

    trial.ends(one=WELL, two=charged(r"pixel .* is lost"), three=WELL)
    assert trial.installs == len(trial.batches()) <= 3


def test_a_runner_that_is_asked_to_end_between_two_tests_gives_back_the_rest(trial: Trial) -> None:
    trial.on_phone("", clear=SLOW_CLEAR)
    trial.submit()
    trial.reached("between")
    trial.scene.node.delete(trial.scene.node.wait_for_runner(trial.target))

    trial.ends(one=WELL, two=charged("stopped while it ran: .*"), three=WELL)
    assert trial.installs == len(trial.batches()) <= 3


def test_a_runner_that_is_killed_between_two_tests_costs_the_next_one(trial: Trial) -> None:
    trial.on_phone("", clear=SLOW_CLEAR)
    trial.submit()
    trial.reached("between")
    trial.scene.node.wait_for_runner(trial.target).kill()

    trial.ends(one=WELL, two=charged("container runner ended with exit code 137"), three=WELL)
    assert trial.installs == len(trial.batches()) <= 3


def test_an_operator_that_is_killed_between_two_tests_costs_nothing(trial: Trial) -> None:
    trial.on_phone("", clear=SLOW_CLEAR)
    trial.submit()
    trial.reached("between")
    trial.scene.kill_operator()

    trial.ends(one=WELL, two=WELL, three=WELL)
    assert (trial.installs, len(trial.batches())) == (1, 1)


# In the middle of a test.

WAIT = "touch $MARKS/begun; sleep 20; exit 1"
#: As a test does that waits for something on the phone, and gives up.
LOOK_AND_FAIL = "touch $MARKS/begun; sleep 2.5; echo 'expected Home to be visible'; exit 1"


@pytest.mark.parametrize("fault", ["vanish", "reboot:1"])
def test_a_phone_that_goes_while_a_test_runs_costs_that_test_no_retry(trial: Trial, fault: str) -> None:
    trial.on_phone(LOOK_AND_FAIL)
    trial.submit()
    trial.reached("begun")
    trial.phone.fault(fault)
    trial.broken_once()
    trial.phone.fault("none")

    trial.ends(one=WELL, two=charged(r"pixel .* is lost"), three=WELL)
    assert trial.installs == len(trial.batches()) <= 3


def test_a_phone_whose_system_restarts_while_a_test_runs_costs_that_test_no_retry(trial: Trial) -> None:
    trial.on_phone(LOOK_AND_FAIL)
    trial.submit()
    trial.reached("begun")
    trial.phone.fault("no-packages")
    trial.phone.fault("none")

    trial.ends(one=WELL, two=charged(r"pixel .* is lost: .*restarted"), three=WELL)


def test_an_adb_server_that_is_killed_costs_the_test_no_retry(trial: Trial) -> None:
    trial.on_phone("adb kill-server; adb shell echo || exit 1; exit 1")
    trial.submit()

    trial.ends(one=WELL, two=charged(r"pixel .* is lost"), three=WELL)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (f"adb shell am force-stop {APP}; adb shell pidof {APP} || exit 1", "ended with exit code 1"),
        ("sleep 60", "timed out after 4 s"),
        ("echo 'Error: socket hang up'; exit 1", "socket hang up"),
    ],
    ids=["app crashes", "hangs", "its own server is away"],
)
def test_a_test_that_fails_on_a_healthy_phone_spends_a_retry_of_its_own(
    trial: Trial, script: str, words: str
) -> None:
    trial.on_phone(script, timeouts={"testSeconds": 4})
    trial.submit()

    trial.ends(one=WELL, two=End(failures=1, words=words), three=WELL)
    assert len(trial.batches()) == 2


def test_a_framework_that_is_killed_is_not_the_tests_fault(trial: Trial) -> None:
    trial.on_phone("kill -9 $$")
    trial.submit()

    trial.ends(one=WELL, two=charged(r"SIGKILL \(out of memory\?\)"), three=WELL)


def test_a_runner_that_is_killed_while_a_test_runs_gives_back_the_rest(trial: Trial) -> None:
    trial.on_phone(WAIT)
    trial.submit()
    trial.reached("begun")
    trial.scene.node.wait_for_runner(trial.target).kill()

    trial.ends(one=WELL, two=charged("container runner ended with exit code 137"), three=WELL)
    assert trial.installs == len(trial.batches()) <= 3


def test_a_pod_that_is_deleted_while_a_test_runs_gives_back_the_rest(trial: Trial) -> None:
    trial.on_phone(WAIT)
    trial.submit()
    trial.reached("begun")
    trial.scene.node.delete(trial.scene.node.wait_for_runner(trial.target))

    trial.ends(one=WELL, two=charged("stopped while it ran"), three=WELL)


# BrowserStack.

SESSION = [sys.executable, str(SCRIPT)]


def test_a_cloud_without_faults_is_asked_for_one_upload_and_a_session_each(trial: Trial) -> None:
    trial.on_cloud(SESSION)
    trial.submit()

    trial.ends(one=WELL, two=WELL, three=WELL)
    assert (trial.uploads, trial.sessions, len(trial.batches())) == (1, 3, 1)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("unauthorized", "refuses the credentials .*check the Secret account"),
        ("forbidden", "refuses the credentials .*check the Secret account"),
        ("upload:You have reached the limit of uploads of your plan", "limit of uploads .*account and plan"),
    ],
)
def test_a_cloud_that_refuses_an_upload_for_now_is_asked_again(trial: Trial, fault: str, words: str) -> None:
    trial.cloud.cloud.set_fault(faults.parse(fault))
    trial.on_cloud(SESSION)
    trial.submit()
    trial.broken_once()
    trial.cloud.cloud.set_fault(faults.parse("none"))

    refused = charged(words)
    trial.ends(one=refused, two=refused, three=refused)
    assert (trial.uploads, trial.sessions, len(trial.batches())) == (1, 3, 2)


def test_a_cloud_that_refuses_the_app_is_not_asked_again(trial: Trial) -> None:
    trial.cloud.cloud.set_fault(faults.parse("upload:[BROWSERSTACK_INVALID_APK] The apk could not be parsed"))
    trial.on_cloud(SESSION)
    trial.submit()

    end = mistake("could not be parsed.*build the app version again", "AppInvalid")
    trial.ends(one=end, two=end, three=end)
    assert (trial.uploads, trial.sessions, len(trial.batches())) == (0, 0, 1)


@pytest.mark.parametrize("fault", ["rate-limit:2", "reset-uploads:1"])
def test_trouble_of_a_cloud_that_passes_costs_nobody_anything(trial: Trial, fault: str) -> None:
    trial.cloud.cloud.set_fault(faults.parse(fault))
    trial.on_cloud(SESSION)
    trial.submit()

    trial.ends(one=WELL, two=WELL, three=WELL)
    assert (trial.uploads, trial.sessions) == (1, 3)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("session:BROWSERSTACK_DEVICE_OFFLINE", "BROWSERSTACK_DEVICE_OFFLINE"),
        ("session:SOME_CODE_OF_TOMORROW", "SOME_CODE_OF_TOMORROW"),
        ("session:BROWSERSTACK_INVALID_DEVICE", "check provider.browserstack.device and osVersion"),
        ("session:BROWSERSTACK_APP_INSTALL_FAILED", "did not take the app"),
        ("hub-503", "503"),
    ],
)
def test_a_session_that_is_refused_costs_its_test_no_retry(trial: Trial, fault: str, words: str) -> None:
    trial.cloud.cloud.set_fault(faults.parse(fault))
    trial.on_cloud(SESSION)
    trial.submit("one")
    trial.broken_once()
    trial.cloud.cloud.set_fault(faults.parse("none"))

    trial.ends(one=charged(words))
    assert (trial.uploads, trial.sessions) == (1, 1)


def test_a_full_queue_is_waited_for(trial: Trial) -> None:
    trial.cloud.cloud.set_fault(faults.parse("queue-full:1"))
    trial.on_cloud(SESSION)
    trial.submit("one")

    trial.ends(one=WELL)
    assert (trial.uploads, trial.sessions) == (1, 1)


#: The session of `two` stays open in its first run, until it is stopped.
SLOW = 'if [ "$QGJOB_JOB_ID-$QGJOB_ATTEMPT" = "$VICTIM-1" ]; then export QGJOB_TEST=SLOW; fi; exec "$0" "$1"'


def test_a_pod_that_is_deleted_leaves_no_session_open(trial: Trial) -> None:
    trial.on_cloud(["sh", "-c", SLOW, *SESSION])
    trial.submit()
    trial.says("opened ", times=2)
    trial.scene.node.delete(trial.scene.node.wait_for_runner(trial.target))

    trial.ends(one=WELL, two=charged("stopped while it ran"), three=WELL)
    assert (trial.uploads, trial.sessions) == (1, 4)


def test_a_cancelled_testjob_leaves_no_session_open(trial: Trial) -> None:
    trial.on_cloud(["sh", "-c", SLOW, *SESSION])
    trial.submit()
    trial.says("opened ", times=2)
    trial.world.set_spec(TEST_JOBS, trial.job("two"), cancel=True)

    trial.ends(one=WELL, two=End("Cancelled"), three=WELL)
    assert trial.uploads == 1
    # The plan has its session back before the next test begins, not when the batch is over.
    assert trial.session_events == ["session-open", "session-end"] * 3


# Artifacts.


@pytest.mark.parametrize("way", ["403", "reset", "silent"])
def test_a_store_that_takes_nothing_delays_no_result_and_no_device(trial: Trial, way: str) -> None:
    store = {"endpoint": trial.scene.builds.url, "bucket": way, "credentialsSecret": "bucket"}
    trial.on_phone("", artifacts={"s3": store})
    trial.submit()
    trial.settles(one=WELL, two=WELL, three=WELL)

    pod = trial.scene.node.wait_for_runner(trial.target)
    assert not pod.ended, "it did not try for long"
    # Asked again and again, it is in a hurry.
    eventually(lambda: "in time" in trial.log() or bool(pod.runner.terminate()), trial.explain)
    trial.leaves_nothing()
    assert re.search("artifacts that could not be stored in time: .*three", trial.log())
    assert trial.installs == 1


# Statuses.


@pytest.fixture
def proxy(scene: Scene, tmp_path: Path) -> Iterator[Proxy]:
    with Proxy(scene.world.kubeconfig, tmp_path) as started:
        yield started


@pytest.mark.parametrize("status", [409, 500])
def test_an_api_server_that_refuses_some_writes_gets_them_again(
    trial: Trial, proxy: Proxy, status: int
) -> None:
    seen = itertools.count()
    proxy.refuse = lambda method, _: status if method == "PATCH" and next(seen) % 2 == 0 else 0
    trial.scene.node.kubeconfigs[trial.target] = proxy.kubeconfig
    trial.on_phone("")
    trial.submit()

    trial.ends(one=WELL, two=WELL, three=WELL)
    assert (trial.installs, len(trial.batches())) == (1, 1)


def test_an_api_server_that_answers_too_late_gets_no_result_twice(trial: Trial, proxy: Proxy) -> None:
    slow = itertools.chain([True], itertools.repeat(False))

    def wait_once(method: str, path: str, _: bytes) -> None:
        if method == "PATCH" and f"/{trial.job('two')}/" in path and next(slow):
            time.sleep(REQUEST_SECONDS + 1)

    proxy.before = wait_once
    trial.scene.node.kubeconfigs[trial.target] = proxy.kubeconfig
    trial.on_phone("", timeouts={"fenceSeconds": 20})
    trial.submit()

    trial.ends(one=WELL, two=WELL, three=WELL)
    assert (trial.installs, len(trial.batches())) == (1, 1)
