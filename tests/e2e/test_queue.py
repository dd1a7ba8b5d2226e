"""The queue without devices: what is submitted runs in real pods, in batches, with retries and dead letters."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.support import Queue


def test_a_test_that_passes(queue: Queue) -> None:
    target = queue.target("simulated-target.yaml")

    done = queue.qgjob(
        *(
            "submit",
            "--org-id=e2e",
            "--app-version-id=1.0.0",
            f"--target={target}",
            "--test=a.spec.ts",
            "--wait",
        )
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "completed"
    assert done.stderr.splitlines()[-1].startswith("qgjob: PASSED")


def test_tests_of_one_app_version_share_installs(queue: Queue) -> None:
    target = queue.target("simulated-target.yaml")
    # While it is paused all of them come to wait: else the first batch takes what is there by then.
    queue.set_parallelism(target, 4)
    queue.set_parallelism(target, 0)
    names = queue.submit(target, *(f"{number}.spec.ts" for number in range(20)))
    queue.set_parallelism(target, 4)

    jobs = queue.wait_until_over(*names)
    assert {job["status"]["phase"] for job in jobs} == {"Succeeded"}
    batches = queue.batches()
    assert len(batches) <= 4, "twenty short tests of one version took more batches than there are slots"
    assert sum(batch["status"]["passed"] for batch in batches) == 20


def test_app_versions_never_share_a_batch(queue: Queue) -> None:
    target = queue.target("simulated-target.yaml")

    names = [
        *queue.submit(target, "a.spec.ts", "b.spec.ts", version="1.0.0"),
        *queue.submit(target, "a.spec.ts", "b.spec.ts", version="2.0.0"),
    ]

    queue.wait_until_over(*names)
    versions = {name: queue.job(name)["spec"]["appVersionId"] for name in names}
    for batch in queue.batches():
        assert {versions[entry["name"]] for entry in batch["spec"]["jobs"]} == {batch["spec"]["appVersionId"]}


def test_a_flaky_test_passes_on_its_retry(queue: Queue) -> None:
    target = queue.target("simulated-faults-target.yaml")

    [name] = queue.submit(target, "flaky.spec.ts")

    [job] = queue.wait_until_over(name)
    assert job["status"]["phase"] == "Succeeded"
    assert [attempt["outcome"] for attempt in job["status"]["attempts"]] == ["failed", "passed"]


def test_a_test_that_always_fails_becomes_a_dead_letter_and_can_be_replayed(queue: Queue) -> None:
    target = queue.target("simulated-faults-target.yaml")
    [name] = queue.submit(target, "broken.spec.ts", max_retries=1)

    [job] = queue.wait_until_over(name)

    assert job["status"]["phase"] == "DeadLettered"
    assert job["status"]["failures"] == 2
    assert job["status"]["reason"] == "TestFailed"
    assert name in queue.qgjob("dlq", "list").stdout
    assert queue.qgjob("dlq", "replay", name).returncode == 0
    replayed = queue.wait_for_phase(name, "Pending", "Scheduled", "Running", "Retrying")
    assert replayed["status"]["observedReplays"] == 1


def test_an_infrastructure_failure_costs_no_retry(queue: Queue) -> None:
    target = queue.target("simulated-faults-target.yaml")

    [name] = queue.submit(target, "unlucky.spec.ts", max_retries=0)

    [job] = queue.wait_until_over(name)
    assert job["status"]["phase"] == "Succeeded"
    assert (job["status"]["failures"], job["status"]["infrastructureFailures"]) == (0, 1)


def test_waiting_says_which_test_failed_and_why(queue: Queue) -> None:
    target = queue.target("simulated-faults-target.yaml")
    names = queue.submit(target, "fine.spec.ts", "broken.spec.ts", max_retries=0)

    done = queue.qgjob("wait", *names)

    assert done.returncode == 1
    last_line = done.stderr.splitlines()[-1]
    assert "broken.spec.ts" in last_line
    assert "simulated failure" in last_line


def test_a_running_test_is_cancelled_and_the_others_of_its_batch_go_on(queue: Queue) -> None:
    target = queue.target("simulated-faults-target.yaml")
    queue.kubectl("patch", "testtarget", target, "--type=merge", '--patch={"spec":{"parallelism":1}}')
    slow, other = queue.submit(target, "slow.spec.ts", "other.spec.ts")
    queue.wait_for_phase(slow, "Running")

    assert queue.qgjob("cancel", slow).returncode == 0

    queue.wait_for_phase(slow, "Cancelled", seconds=20)
    queue.wait_for_phase(other, "Succeeded")


def test_logs_are_those_of_one_test(queue: Queue) -> None:
    target = queue.target("simulated-faults-target.yaml")
    names = queue.submit(target, "one.spec.ts", "broken.spec.ts", max_retries=0)
    queue.wait_until_over(*names)

    done = queue.qgjob("logs", names[1])

    assert done.returncode == 0, done.stderr
    assert "broken.spec.ts" in done.stdout
    assert "one.spec.ts" not in done.stdout


def test_submitting_the_same_job_again_changes_nothing(queue: Queue) -> None:
    target = queue.target("simulated-target.yaml")
    [name] = queue.submit(target, "a.spec.ts", job_id="once")
    queue.wait_until_over(name)

    assert queue.submit(target, "a.spec.ts", job_id="once") == [name]

    assert len(queue.jobs()) == 1
    other_priority = queue.qgjob(
        *("submit", "--org-id=e2e", "--app-version-id=1.0.0", f"--target={target}"),
        *("--test=a.spec.ts", "--job-id=once", "--priority=9"),
    )
    assert other_priority.returncode == 2
    assert queue.job(name)["spec"]["priority"] == 5


def test_the_more_urgent_overtakes_what_waits(queue: Queue) -> None:
    target = queue.target("simulated-faults-target.yaml")
    queue.kubectl("patch", "testtarget", target, "--type=merge", '--patch={"spec":{"parallelism":1}}')
    first = queue.submit(target, "slow.spec.ts", version="1.0.0")
    queue.wait_for_phase(first[0], "Running")
    patient = queue.submit(target, "patient.spec.ts", version="2.0.0", priority=1)
    urgent = queue.submit(target, "urgent.spec.ts", version="3.0.0", priority=10)

    queue.qgjob("cancel", *first)

    low, high = queue.wait_until_over(*patient, *urgent)
    assert high["status"]["startTime"] < low["status"]["startTime"]


def test_a_test_job_for_an_unknown_target_waits_for_it(queue: Queue) -> None:
    [name] = queue.submit("simulated", "a.spec.ts")
    queue.wait_for_phase(name, "Pending")

    queue.target("simulated-target.yaml")

    queue.wait_for_phase(name, "Succeeded")


def test_test_jobs_by_hand(queue: Queue, tmp_path: Path) -> None:
    queue.target("simulated-target.yaml")
    queue.kubectl("apply", "--filename", "manifests/samples/testjob.yaml")

    queue.wait_until_over("checkout-on-1.0.0", "login-on-1.0.0")

    page = queue.kubectl("get", "tj")
    assert re.search(
        r"checkout-on-1.0.0 +Succeeded +5 +1.0.0 +simulated +tests/checkout.spec.ts +0 +Passed", page
    )


def test_kubectl_qgjob(queue: Queue) -> None:
    queue.target("simulated-target.yaml")

    done = queue.kubectl_done("qgjob", "targets", "--output=json")

    assert done.returncode == 0, done.stderr
    assert [target["name"] for target in json.loads(done.stdout)] == ["simulated"]


def test_what_is_wrong_in_a_test_job_is_said_when_it_is_applied(queue: Queue) -> None:
    manifest = {
        "apiVersion": "qgjob.dev/v1alpha1",
        "kind": "TestJob",
        "metadata": {"name": "wrong"},
        "spec": {
            "orgId": "e2e",
            "appVersionId": "1",
            "test": "../a.spec.ts",
            "target": "simulated",
            "priority": 11,
        },
    }

    done = queue.kubectl_done("apply", "--filename", "-", stdin=json.dumps(manifest))

    assert done.returncode == 1
    assert "spec.priority" in done.stderr
    assert "less than or equal to 10" in done.stderr
