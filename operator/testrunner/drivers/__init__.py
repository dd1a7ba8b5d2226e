"""Drivers, found by entry point (group `qgjob.drivers`): a team adds its own framework without a fork."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Final

from qgjob.api.constants import DRIVER_INVALID, DRIVER_NOT_FOUND

from .base import Driver, InfrastructureError

GROUP: Final = "qgjob.drivers"


def driver_class(name: str) -> type[Driver]:
    """The driver of that name.

    Raises InfrastructureError where the image has none, or its package can't be imported.
    """
    found = entry_points(group=GROUP)
    for point in found:
        if point.name != name:
            continue
        try:
            loaded = point.load()
        except (Exception, SystemExit) as error:
            message = f"driver {name!r} ({point.value}) can't be loaded: {type(error).__name__}: {error}"
            raise InfrastructureError(message, reason=DRIVER_INVALID) from error
        if not (isinstance(loaded, type) and issubclass(loaded, Driver)):
            message = f"driver {name!r} ({point.value}) is no testrunner.drivers.base.Driver"
            raise InfrastructureError(message, reason=DRIVER_INVALID)
        return loaded
    names = ", ".join(sorted({point.name for point in found})) or "none"
    raise InfrastructureError(
        f"this runner's image has no driver {name!r} (it has: {names}): "
        "check the TestTarget's driver.name and image",
        reason=DRIVER_NOT_FOUND,
    )
