"""Following objects as they change, through time-outs, restarts of the API server and old versions."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from qgjob.api.constants import API_VERSION

from .errors import ApiError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .client import Client, Object

#: The longest that one watch lasts; servers end them after some minutes in any case.
WATCH_SECONDS: Final = 300.0
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 5.0
#: An API server that has just started refuses for some seconds what it will allow: its caches are empty.
_REFUSALS: Final = frozenset({401, 403, 404})
_REFUSED_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Listed:
    """All objects that match, at the start and after every gap: whatever isn't here is gone."""

    objects: list[Object] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Changed:
    """One object was added or modified; or deleted (or it left the selector): this is its last state."""

    object: Object
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """The server can't be asked just now; the following goes on."""

    error: Exception


Event = Listed | Changed | Trouble


def follow(
    client: Client,
    plural: str,
    *,
    field_selector: str = "",
    label_selector: str = "",
    namespace: str | None = None,
    api_version: str = API_VERSION,
    deadline: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Event]:
    """What matches now, then every change, until `deadline` (of `clock`, in seconds; None: for ever).

    A server that can't be reached, is starting, or is overloaded is asked again, with pauses; each failure is
    yielded as `Trouble`. A refusal that lasts raises its ApiError. So does whatever goes wrong with the first
    list: then it is more likely the wrong address or account than a restart.
    """
    scope: dict[str, Any] = {
        "field_selector": field_selector,
        "label_selector": label_selector,
        "namespace": namespace,
        "api_version": api_version,
    }

    def left() -> float:
        return WATCH_SECONDS if deadline is None else deadline - clock()

    version = ""
    pause = _FIRST_PAUSE
    refused: float | None = None
    first = True
    # The first list is answered even where no time is left: it may say that all is over.
    while first or left() > 0:
        try:
            if not version:
                timeout = client.timeout if first else min(client.timeout, max(left(), 1.0))
                listed, version = _list(client, plural, scope, timeout)
                yield Listed(listed)
                first = False
            pause, refused = _FIRST_PAUSE, None
            if left() <= 0:
                return
            seconds = min(WATCH_SECONDS, left())
            with client.watch(
                plural, resource_version=version, timeout_seconds=seconds, silence=seconds + 1, **scope
            ) as watch:
                for kind, changed in watch:
                    version = changed["metadata"]["resourceVersion"]
                    if kind != "BOOKMARK":
                        yield Changed(changed, deleted=kind == "DELETED")
        except (Unreachable, ApiError) as error:
            if first:
                raise
            version = ""
            if isinstance(error, ApiError) and error.is_gone:
                continue
            if left() <= 0:
                return
            if isinstance(error, ApiError) and error.status in _REFUSALS:
                refused = clock() if refused is None else refused
                if clock() - refused > _REFUSED_SECONDS:
                    raise
            yield Trouble(error)
            sleep(max(0.0, min(pause, left())))
            pause = min(pause * 2, _LONGEST_PAUSE)


def _list(client: Client, plural: str, scope: dict[str, Any], timeout: float) -> tuple[list[Object], str]:
    objects: list[Object] = []
    token = ""
    while True:
        page = client.list_page(plural, continue_token=token, timeout=timeout, **scope)
        objects += page["items"]
        token = page["metadata"].get("continue") or ""
        if not token:
            return objects, page["metadata"]["resourceVersion"]
