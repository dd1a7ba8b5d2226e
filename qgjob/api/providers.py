"""Where a batch gets its device from."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from .base import ApiModel, PreservedObject, Rule, SecretName, matching, schema
from .testjob import EnvVar

#: What the one device of a batch is called that brings its own emulator, and the sidecar that it runs in.
EMULATOR = "emulator"


class Device(ApiModel):
    """One phone or emulator that adb reaches over the network."""

    name: Annotated[
        str,
        matching(
            r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
            "must be lower-case letters and digits, with '-' or '.' between them",
            max_length=63,
        ),
    ]
    address: Annotated[
        str,
        matching(
            r"^[^\s:]+:[0-9]{1,5}$",
            "must be host:port of the device's adb daemon, such as 10.0.0.7:5555",
            max_length=255,
            description="host:port of its adb daemon.",
        ),
    ]
    drained: Annotated[
        bool,
        Field(description="Take no new batch: for work on the device by hand (`qgjob targets drain`)."),
    ] = False


class NoDevice(ApiModel):
    """No device is leased: the driver needs none, or finds its own."""


class Emulator(ApiModel):
    """An Android emulator of the batch's own: a sidecar container in its pod, which ends with it."""

    image: Annotated[
        str,
        Field(
            min_length=1,
            max_length=512,
            description="Image that starts an emulator and serves adb on `port`.",
        ),
    ]
    port: Annotated[int, Field(ge=1, le=65535, description="Port of its adb daemon in the pod.")] = 5555
    boot_seconds: Annotated[
        int,
        Field(
            ge=1,
            le=3600,
            description="Seconds that the runner waits for it to boot and to take apps, beside installSeconds.",
        ),
    ] = 300
    resources: Annotated[
        PreservedObject | None,
        Field(
            description="Resources of its container, as in a pod: memory, cpu, and the KVM device of the cluster's "
            "device plug-in, such as limits {devices.kubevirt.io/kvm: 1}."
        ),
    ] = None
    env: Annotated[
        list[EnvVar],
        Field(
            max_length=64,
            json_schema_extra=schema(x_kubernetes_list_type="map", x_kubernetes_list_map_keys=["name"]),
            description="Environment of its container, such as the device profile that the image offers.",
        ),
    ] = []
    privileged: Annotated[
        bool,
        Field(description="Whether its container runs privileged, as images without a device plug-in need."),
    ] = False


CloudUrl = Annotated[
    str, matching(r"^https?://[^/?#]+$", "must be https://host, without a path", max_length=512)
]


class BrowserStack(ApiModel):
    """A device of BrowserStack App Automate."""

    device: Annotated[
        str,
        Field(min_length=1, max_length=128, description="Device as BrowserStack names it: Google Pixel 8."),
    ]
    os_version: Annotated[
        str,
        Field(
            min_length=1, max_length=32, description="Version of its system as BrowserStack names it: 14.0."
        ),
    ]
    credentials_secret: Annotated[
        SecretName, Field(description="Secret with the keys `username` and `accessKey`.")
    ]
    api_url: Annotated[CloudUrl, Field(description="Plan and sessions.")] = "https://api.browserstack.com"
    upload_url: Annotated[CloudUrl, Field(description="Uploads.")] = "https://api-cloud.browserstack.com"
    hub_url: Annotated[CloudUrl, Field(description="WebDriver hub.")] = "https://hub-cloud.browserstack.com"
    idle_seconds: Annotated[
        int,
        Field(ge=15, le=300, description="A session that hears nothing so long is ended by BrowserStack."),
    ] = 90


class DeviceHealth(ApiModel):
    """When a device of the pool is taken out of use by itself, and tried again."""

    failures: Annotated[
        int,
        Field(ge=1, le=100, description="Batches in a row that it failed, until it is quarantined."),
    ] = 2
    backoff_seconds: Annotated[
        int, Field(ge=1, le=86400, description="The first quarantine; each further one is twice as long.")
    ] = 60
    max_backoff_seconds: Annotated[int, Field(ge=1, le=604800)] = 3600
    min_free_megabytes: Annotated[
        int, Field(ge=0, le=1048576, description="Free space in /data below which it takes no batch.")
    ] = 100


class Provider(ApiModel):
    """Exactly one way to get a device."""

    devices: Annotated[
        list[Device] | None,
        Field(
            min_length=1,
            max_length=250,  # the rule on addresses below compares each with each, and has a budget
            json_schema_extra=schema(x_kubernetes_list_type="map", x_kubernetes_list_map_keys=["name"]),
            description="Phones or emulators that adb reaches.",
        ),
    ] = None
    emulator: Annotated[Emulator | None, Field(description="A sidecar container per batch.")] = None
    browserstack: Annotated[BrowserStack | None, Field(description="A device in BrowserStack's cloud.")] = (
        None
    )
    none: Annotated[NoDevice | None, Field(description="The driver needs no device.")] = None

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "[has(self.devices), has(self.emulator), has(self.browserstack), has(self.none)]"
            ".filter(x, x).size() == 1",
            "provider needs exactly one of devices, emulator, browserstack, none",
        ),
        Rule(
            "!has(self.devices) || self.devices.all(device, "
            "self.devices.exists_one(other, other.address == device.address))",
            "two devices have the same address: name each phone once",
            ".devices",
        ),
    )
