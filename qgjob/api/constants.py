"""The API group's names. Import-light: the CLI reads it at start-up."""

from __future__ import annotations

from typing import Final

GROUP: Final = "qgjob.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

TEST_JOBS: Final = "testjobs"
TEST_BATCHES: Final = "testbatches"
TEST_TARGETS: Final = "testtargets"

#: On the Kubernetes Job and the pod of a batch: the TestBatch's name and its target's name.
BATCH_LABEL: Final = f"{GROUP}/batch"
TARGET_LABEL: Final = f"{GROUP}/target"

#: The service account of every runner pod, and the ClusterRole that the operator binds it to in a namespace.
RUNNER_ACCOUNT: Final = "qgjob-runner"
RUNNER_CLUSTER_ROLE: Final = "qgjob-runner"

#: Attempts that a TestJob's status keeps, and the longest message (bytes of UTF-8) that a status carries.
MAX_ATTEMPTS_KEPT: Final = 10
MAX_MESSAGE_BYTES: Final = 1024

#: TestJobs in one TestBatch at most: CEL over lists needs a bound, and a batch is one object of limited size.
MAX_BATCH_TESTS: Final = 1000

#: How the made-up pod name begins of a runner that was started by hand, outside of the cluster.
LOCAL_POD_PREFIX: Final = "local-"

#: Reasons of a failed TestBatch that are its device's own: it did not answer, had not booted, had no space, or was
#: lost while it was used. Anything else may be the app's fault, or the network's.
DEVICE_OFFLINE: Final = "DeviceOffline"
DEVICE_NOT_BOOTED: Final = "DeviceNotBooted"
DEVICE_STORAGE_FULL: Final = "DeviceStorageFull"
DEVICE_LOST: Final = "DeviceLost"
DEVICE_REASONS: Final = frozenset({DEVICE_OFFLINE, DEVICE_NOT_BOOTED, DEVICE_STORAGE_FULL, DEVICE_LOST})
#: A batch's own emulator: nobody leases it, so no device is to blame.
EMULATOR_NOT_BOOTED: Final = "EmulatorNotBooted"

#: Reasons of a failed TestBatch that are its TestTarget's own: whoever made that can mend it, and nobody else.
DRIVER_NOT_FOUND: Final = "DriverNotFound"
DRIVER_INVALID: Final = "DriverInvalid"
TARGET_INVALID: Final = "TargetInvalid"
TARGET_REASONS: Final = frozenset({DRIVER_NOT_FOUND, DRIVER_INVALID, TARGET_INVALID})
