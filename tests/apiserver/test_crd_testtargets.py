"""TestTargets as the API server takes or refuses them, and the words that a stranger reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.apiserver.crd_support import ABSENT, PHONES, SIMULATED, Object, Resource, changed

if TYPE_CHECKING:
    from hack.localcluster.throwaway import ThrowawayControlPlane

DEVICE = PHONES["provider"]["devices"][0]
APPWRIGHT_NEEDS = "driver appwright needs app, and provider devices, emulator or browserstack"
PROVIDERS = "provider needs exactly one of devices, emulator, browserstack, none"
BROWSERSTACK = {"device": "Google Pixel 8", "osVersion": "14.0", "credentialsSecret": "browserstack"}
COMMAND = {"driver": {"name": "command", "command": {"test": ["npx", "playwright", "test"]}}}
APPIUM: Object = {"name": "command", "command": {"test": ["pytest"], "appium": True}}


@pytest.fixture
def targets(crds: ThrowawayControlPlane, namespace: str) -> Resource:
    return Resource(crds.client, namespace, "testtargets")


def test_a_simulated_one_needs_no_more_than_its_driver(targets: Resource) -> None:
    assert targets.create(SIMULATED)["spec"] == {
        "driver": {"name": "simulate"},
        "provider": {"none": {}},
        "health": {"failures": 2, "backoffSeconds": 60, "maxBackoffSeconds": 3600, "minFreeMegabytes": 100},
        "env": [],
        "secretEnv": [],
        "gitCredentials": [],
        "batch": {"maxTests": 50, "targetSeconds": 120, "isolateOrgs": False},
        "fairness": {"orgs": [], "unlisted": {"weight": 1, "shared": False}, "overQuota": "Wait"},
        "retry": {
            "backoffSeconds": 60,
            "factor": 2,
            "maxBackoffSeconds": 3600,
            "infrastructureRetries": 5,
        },
        "timeouts": {
            "startSeconds": 300,
            "installSeconds": 300,
            "testSeconds": 600,
            "batchSeconds": 7200,
            "fenceSeconds": 60,
        },
    }


def test_appwright_is_the_driver_where_none_is_named(targets: Resource) -> None:
    assert targets.create(changed(PHONES, {"driver": ABSENT}))["spec"]["driver"]["name"] == "appwright"


@pytest.mark.parametrize(
    "changes",
    [
        PHONES,
        COMMAND,
        {**COMMAND, "app": {"url": "file:///builds/{appVersionId}.apk"}},
        changed(PHONES, {"driver": APPIUM}),
        {"driver": {**APPIUM, "command": {**APPIUM["command"], "appium": False}}},
        {"driver": {"name": "our-own", "settings": {"anything": {"goes": [1, "two"]}}}},
        {"driver": {"name": "simulate", "simulate": {"installSeconds": 0.5, "testSeconds": 0.1}}},
        {"parallelism": 0},
        {**PHONES, "provider": {"emulator": {"image": "emulator:34", "resources": {"limits": {"kvm": 1}}}}},
        {**PHONES, "provider": {"browserstack": BROWSERSTACK}},
        {
            "provider": {"browserstack": BROWSERSTACK},
            "app": {"customId": "shop-{appVersionId}"},
        },
        {"app": {"url": "s3://builds/{appVersionId}.apk", "s3": {"endpoint": "http://minio:9000"}}},
        {"artifacts": {"s3": {"bucket": "artifacts"}, "retentionDays": 30}},
        {"artifacts": {"persistentVolumeClaim": {"claimName": "artifacts"}}},
        {"cache": {"volume": {"hostPath": {"path": "/var/cache/qgjob"}}}},
        {"gitCredentials": [{"urlPrefix": "https://git.example.com/", "secret": "git-token"}]},
        {"secretEnv": [{"name": "PASSWORD", "secret": "account", "key": "password"}]},
        {"retry": {"backoffSeconds": 0, "factor": 1.5}},
        {"source": {"git": {"repository": "https://github.com/acme/e2e.git"}}},
        {"podTemplate": {"spec": {"containers": [{"name": "runner", "resources": {"limits": {"cpu": 1}}}]}}},
    ],
    ids=lambda value: str(value)[:60],
)
def test_this_is_taken(targets: Resource, changes: Object) -> None:
    assert targets.refusal(changed(SIMULATED, changes)) == ""


def test_a_pod_template_is_kept_as_it_is(targets: Resource) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"nodeSelector": {"phones": "yes"}, "new": [1]}}

    assert targets.create({**SIMULATED, "podTemplate": template})["spec"]["podTemplate"] == template


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"driver": {"name": "appwright"}}, APPWRIGHT_NEEDS),
        (changed(PHONES, {"app": None}), APPWRIGHT_NEEDS),
        (
            {"driver": {"name": "command"}},
            "driver command needs driver.command.test: the command that runs one test file",
        ),
        (
            {"driver": APPIUM},
            "driver.command.appium needs a device that adb reaches: provider devices or emulator",
        ),
        ({"driver": {"name": "command", "command": {}}}, "spec.driver.command.test: Required value"),
        (
            {"driver": {"name": "command", "command": {"test": ["pytest"], "junit": "../*.xml"}}},
            "must be a glob below QGJOB_REPORT_DIR: relative, without '..'",
        ),
        ({"driver": "simulate"}, 'spec.driver in body must be of type object: "string"'),
        ({"provider": {}}, PROVIDERS),
        ({"provider": {"devices": [DEVICE], "none": {}}}, PROVIDERS),
        ({"provider": {"devices": []}}, "spec.provider.devices in body should have at least 1 items"),
        ({"provider": {"devices": [DEVICE, DEVICE]}}, "spec.provider.devices[1]: Duplicate value"),
        ({"provider": {"devices": [{"name": "pixel"}]}}, "spec.provider.devices[0].address: Required value"),
        (
            {"provider": {"devices": [{**DEVICE, "address": "10.0.0.7"}]}},
            (
                'spec.provider.devices[0].address: Invalid value: "10.0.0.7": '
                "must be host:port of the device's adb daemon, such as 10.0.0.7:5555"
            ),
        ),
        (
            {"provider": {"devices": [DEVICE, {**DEVICE, "name": "the-same"}]}},
            "spec.provider.devices: Invalid value: two devices have the same address: name each phone once",
        ),
        (
            {"provider": {"devices": [{**DEVICE, "name": "Pixel 7"}]}},
            (
                'spec.provider.devices[0].name: Invalid value: "Pixel 7": '
                "must be lower-case letters and digits, with '-' or '.' between them"
            ),
        ),
        (
            {"app": {"url": "https://builds.example.com/app.apk"}},
            "spec.app.url: Invalid value: must contain {appVersionId}, else every app version is the same file",
        ),
        (
            {"app": {"url": "builds/{appVersionId}.apk"}},
            (
                'spec.app.url: Invalid value: "builds/{appVersionId}.apk": '
                "must begin with https://, http://, s3:// or file://"
            ),
        ),
        ({"app": {"customId": "shop"}}, "spec.app.customId: Invalid value: must contain {appVersionId}"),
        ({"app": {}}, "app needs exactly one of url, customId"),
        (
            {**PHONES, "app": {"customId": "shop-{appVersionId}"}},
            "only provider browserstack can use app.customId: name the package's url",
        ),
        ({"artifacts": {}}, "artifacts needs exactly one of s3, persistentVolumeClaim"),
        ({"artifacts": {"s3": {"bucket": "My Bucket"}}}, "must be a bucket's name"),
        (
            {"provider": {"browserstack": {**BROWSERSTACK, "hubUrl": "hub.example.com"}}},
            "must be https://host, without a path",
        ),
        (
            {"provider": {"browserstack": {**BROWSERSTACK, "idleSeconds": 600}}},
            "spec.provider.browserstack.idleSeconds in body should be less than or equal to 300",
        ),
        (
            {"provider": {"browserstack": {"device": "Google Pixel 8", "osVersion": "14.0"}}},
            "spec.provider.browserstack.credentialsSecret: Required value",
        ),
        ({"parallelism": -1}, "spec.parallelism in body should be greater than or equal to 0"),
        ({"batch": {"maxTests": 1001}}, "spec.batch.maxTests in body should be less than or equal to 1000"),
        ({"retry": {"factor": 0.5}}, "spec.retry.factor in body should be greater than or equal to 1"),
        (
            {"retry": {"backoffSeconds": "1m"}},
            'spec.retry.backoffSeconds in body must be of type integer: "string"',
        ),
        (
            {"timeouts": {"fenceSeconds": 0}},
            "spec.timeouts.fenceSeconds in body should be greater than or equal to 1",
        ),
        ({"source": {}}, "source needs exactly one of image, git, archive, configMap"),
        ({"env": [{"name": "A-B"}]}, "must be letters, digits and '_', and must not begin with a digit"),
        (
            {
                "driver": {
                    "name": "simulate",
                    "simulate": {"outcomes": [{"test": "a", "outcomes": ["flaky"]}]},
                }
            },
            'Unsupported value: "flaky": supported values: "passed", "failed", "infrastructure"',
        ),
        (
            {"driver": {**COMMAND["driver"], "command": {"test": ["a"], "stopSignal": "SIGKILL"}}},
            'Unsupported value: "SIGKILL": supported values: "SIGINT", "SIGTERM"',
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_this_is_refused_with_these_words(targets: Resource, changes: Object, words: str) -> None:
    assert words in targets.refusal(changed(SIMULATED, changes))


@pytest.mark.parametrize("name", ["pixel.7", "a" * 64])
def test_a_name_that_no_label_can_hold_is_refused(targets: Resource, name: str) -> None:
    assert "a TestTarget's name has at most 63 characters and no dots" in targets.refusal(SIMULATED, name)


def test_everything_may_change(targets: Resource) -> None:
    name = targets.create(SIMULATED)["metadata"]["name"]
    change = {**PHONES, "provider": {**PHONES["provider"], "none": None}, "parallelism": 3}

    assert targets.change(name, change) == ""


# The status


def test_it_has_nothing_to_tell_before_the_operator_came(targets: Resource) -> None:
    assert targets.create(PHONES)["status"] == {
        "devices": [],
        "conditions": [],
        "slots": 0,
        "running": 0,
        "waiting": 0,
    }


def test_a_lease_names_the_device_and_who_has_it(targets: Resource) -> None:
    name = targets.create(PHONES)["metadata"]["name"]
    lease = {"name": "pixel", "state": "Busy", "batch": "tb-1", "since": "2026-01-02T03:04:05Z"}
    targets.merge(name, {"status": {"devices": [lease]}}, "/status")

    health = {"address": "", "failures": 0, "reason": "", "message": ""}
    assert targets.get(name)["status"]["devices"] == [{**lease, **health}]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"devices": [{"name": "pixel", "state": "Lost"}]}, 'Unsupported value: "Lost"'),
        ({"devices": [{"name": "pixel"}, {"name": "pixel"}]}, "status.devices[1]: Duplicate value"),
        ({"slots": -1}, "slots in body should be greater than or equal to 0"),
    ],
    ids=str,
)
def test_such_a_status_is_refused(targets: Resource, status: Object, words: str) -> None:
    name = targets.create(PHONES)["metadata"]["name"]

    assert words in targets.report(name, status)


# How it is read


def test_kubectl_get_shows_what_people_ask_first(targets: Resource) -> None:
    name = targets.create(PHONES, "phones")["metadata"]["name"]
    ready = {
        "type": "Ready",
        "status": "False",
        "reason": "NoRunnerImage",
        "message": "set --appwright-image",
        "lastTransitionTime": "2026-01-02T03:04:05Z",
    }
    counts = {"slots": 4, "running": 2, "waiting": 30}
    targets.merge(name, {"status": {**counts, "conditions": [ready]}}, "/status")
    [row] = targets.table()
    row.pop("Age")

    assert targets.columns() == [
        *("Name", "Driver", "Slots", "Running", "Waiting", "Ready", "Reason", "Age"),
    ]
    assert row == {
        "Name": "phones",
        "Driver": "appwright",
        "Slots": 4,
        "Running": 2,
        "Waiting": 30,
        "Ready": "False",
        "Reason": "NoRunnerImage",
        "Message": "set --appwright-image",
    }
