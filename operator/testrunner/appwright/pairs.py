"""Which AppWright works with which Playwright: a project that brings a pair that can't is told before it runs."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

Version = tuple[int, ...]

#: AppWright up to this version defines its fixtures in a way that Playwright refuses from BROKEN_FROM on
#: (`Fixture "device" cannot be overridden…`). A later AppWright is given the benefit of the doubt.
LAST_KNOWN: Final[Version] = (0, 1, 1)
BROKEN_FROM: Final[Version] = (1, 60, 0)
#: The pair that the runner's own kit has.
WORKS: Final = "1.59.1"

_PLAYWRIGHT: Final = "@playwright/test"


def problem(project: Path) -> str:
    """What is wrong with the AppWright and Playwright in a project's own node_modules; empty where nothing is.

    A project without its own AppWright runs the kit's, whose pair works.
    """
    packages = project / "node_modules"
    appwright = _version(packages / "appwright")
    if not appwright:
        return ""
    nested = _version(packages / "appwright" / "node_modules" / _PLAYWRIGHT)
    own = _version(packages / _PLAYWRIGHT)
    if nested and own and nested != own:
        return (
            f"the project has {_PLAYWRIGHT} {own}, but its appwright {appwright} brings {nested} of its own, and two "
            f"Playwrights in one process refuse to work: {_advice(appwright)}"
        )
    playwright = own or nested
    if _numbers(appwright) <= LAST_KNOWN and _numbers(playwright) >= BROKEN_FROM:
        return (
            f"appwright {appwright} can't work with {_PLAYWRIGHT} {playwright} "
            f'(Playwright refuses it: Fixture "device" cannot be overridden): {_advice(appwright)}'
        )
    return ""


def _advice(appwright: str) -> str:
    return (
        f'pin "appwright": "{appwright}" and "{_PLAYWRIGHT}": "{WORKS}" exactly in package.json, renew its lock file '
        "and install again, or leave node_modules out to use the runner's own"
    )


def _version(package: Path) -> str:
    try:
        said = json.loads((package / "package.json").read_text()).get("version", "")
    except (OSError, ValueError, AttributeError):
        return ""
    return said if isinstance(said, str) else ""


def _numbers(version: str) -> Version:
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("-")[0])[:3])
