"""Real AppWright tests in pods, on simulated phones: the sample project, as `qgjob submit --source-dir` sends it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from hack.demonstration.phones import PHONES, Phones
from tests.e2e.support import SHOP, Queue, fresh_namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Cluster

VERSIONS = ("1.4.0", "1.5.0")
PASSING = ("tests/login.spec.ts", "tests/basket.spec.ts", "tests/version.spec.ts")
FLAKY = "tests/flaky.spec.ts"
BROKEN = "tests/broken.spec.ts"


class Day:
    """A day's work: each test on each version, all submitted at once, all over."""

    def __init__(self, queue: Queue, phones: Phones) -> None:
        self.queue = queue
        self.phones = phones
        tests = (*PASSING, FLAKY, BROKEN)
        self.names = {
            (version, test): name
            for version in VERSIONS
            for test, name in zip(
                tests,
                queue.submit("phones", *tests, version=version, source_dir=SHOP, max_retries=1),
                strict=True,
            )
        }
        queue.wait_until_over(*self.names.values(), seconds=300)

    def status(self, version: str, test: str) -> dict[str, Any]:
        status: dict[str, Any] = self.queue.job(self.names[version, test])["status"]
        return status


@pytest.fixture(scope="module")
def day(cluster: Cluster) -> Iterator[Day]:
    with fresh_namespace(cluster.access) as namespace:
        phones = Phones.install(cluster.access, namespace, cluster.images)
        yield Day(Queue(cluster.access, namespace), phones)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("test", PASSING)
def test_what_passes(day: Day, version: str, test: str) -> None:
    status = day.status(version, test)

    assert status["phase"] == "Succeeded", status
    assert [attempt["outcome"] for attempt in status["attempts"]] == ["passed"]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_fails_once_passes_on_its_retry(day: Day, version: str) -> None:
    status = day.status(version, FLAKY)

    assert status["phase"] == "Succeeded", status
    assert [attempt["outcome"] for attempt in status["attempts"]] == ["failed", "passed"]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_always_fails_is_a_dead_letter_that_says_why(day: Day, version: str) -> None:
    status = day.status(version, BROKEN)

    assert (status["phase"], status["reason"], status["failures"]) == ("DeadLettered", "TestFailed", 2)
    assert "Items: 1000" in status["message"]


def test_nothing_was_blamed_on_the_infrastructure(day: Day) -> None:
    assert {job["status"]["infrastructureFailures"] for job in day.queue.jobs()} == {0}


def test_a_batch_is_one_install(day: Day) -> None:
    batches = day.queue.batches()

    assert day.phones.installs() == len(batches)
    assert len(batches) < len(day.names)


def test_each_install_is_the_batch_s_version(day: Day) -> None:
    installed = Counter(
        event["version"]
        for phone in PHONES
        for event in day.phones.events(phone, "install")
        if event["package"] == "org.example.shop"
    )

    assert installed == Counter(batch["spec"]["appVersionId"] for batch in day.queue.batches())


def test_no_phone_had_two_tests_at_once(day: Day) -> None:
    assert day.phones.overlaps() == 0


def test_both_phones_worked(day: Day) -> None:
    assert {batch["spec"]["device"]["name"] for batch in day.queue.batches()} == set(PHONES)


def test_the_log_of_a_test_has_what_appwright_printed(day: Day) -> None:
    done = day.queue.qgjob("logs", day.names["1.4.0", BROKEN])

    assert done.returncode == 0, done.stderr
    assert "sells a thousand items" in done.stdout
    assert "greets the user" not in done.stdout


def test_phones_are_free_afterwards(day: Day) -> None:
    day.queue.wait_for_free_devices("phones")
