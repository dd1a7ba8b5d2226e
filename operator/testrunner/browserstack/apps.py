"""The app at BrowserStack: one upload for each version, looked up by everybody else."""

from __future__ import annotations

import io
import time
import uuid
import zipfile
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from ..digest import sha256_of
from ..drivers.base import InfrastructureError, Stopped, SubmitterError
from .api import RefusedError
from .texts import CUSTOM_ID_CHARACTERS, UPLOAD_REFUSED, custom_id, is_about_the_file, own_custom_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..stop import StopToken
    from .api import Api

#: An upload's answer comes after BrowserStack has looked at the app, some minutes for a large one.
_UPLOAD_SECONDS: Final = 300.0


class Apps:
    """Finds and uploads packages."""

    #: How long, and how often, it is looked whether an older batch has uploaded the app.
    sibling_seconds: float = 120.0
    sibling_poll_seconds: float = 3.0

    def __init__(self, api: Api, log: Callable[[str], None]) -> None:
        self._api = api
        self._log = log

    def named(self, template: str, app_version_id: str, stop: StopToken) -> str:
        """The app_url of what the team has uploaded as app.customId.

        Raises SubmitterError (AppVersionNotFound), InfrastructureError, Stopped.
        """
        name = custom_id(template, app_version_id)
        if not name or len(name) > CUSTOM_ID_CHARACTERS:
            raise InfrastructureError(
                f"the TestTarget's app.customId gives {name!r}: BrowserStack takes 1 to {CUSTOM_ID_CHARACTERS} "
                "letters, digits, '.', '-' and '_'"
            )
        if url := self._find(name, stop):
            self._log(f"app version {app_version_id} is at BrowserStack as {name}: {url}")
            return url
        message = (
            f"app version {app_version_id} doesn't exist at BrowserStack: the user of the Secret "
            f"{self._api.provider.credentials_secret} has uploaded nothing as custom_id {name} (in 30 days): "
            "upload it, then submit again"
        )
        raise SubmitterError("AppVersionNotFound", message)

    def uploaded(self, path: Path, stop: StopToken, is_first: Callable[[], bool] = lambda: True) -> str:
        """The app_url of a package, uploaded if nobody has done that before.

        Where `is_first` says that somebody else is about to do it, that is waited for, but not for ever. Raises
        SubmitterError (AppInvalid, AppTooLarge), InfrastructureError, Stopped.
        """
        if not zipfile.is_zipfile(path):
            raise InfrastructureError(
                f"{path.name} is no app: it is no archive at all. Does app.url lead to a login or an error page?"
            )
        name = own_custom_id(sha256_of(path))
        told = False
        deadline = time.monotonic() + self.sibling_seconds
        while not (url := self._find(name, stop)) and not is_first() and time.monotonic() < deadline:
            if not told:
                self._log("another batch of this app version uploads it to BrowserStack just now")
                told = True
            if stop.wait(self.sibling_poll_seconds):
                raise Stopped(stop.reason)
        if url:
            self._log(f"the app is at BrowserStack already, as {name}: {url}")
            return url
        self._log(f"uploads {path.name} ({path.stat().st_size} bytes) to BrowserStack as {name}")
        url = self._upload(path, name, stop)
        self._log(f"uploaded: {url}")
        return url

    def _find(self, name: str, stop: StopToken) -> str:
        url = f"{self._api.provider.upload_url}/app-automate/recent_apps/{quote(name, safe='')}"
        try:
            found = self._api.request("GET", url, stop=stop)
        except RefusedError as error:
            if error.status == 404:
                return ""
            raise InfrastructureError(f"BrowserStack does not say what was uploaded: {error}") from error
        # The newest first; {"message": "No results found"} where there is none.
        apps = found if isinstance(found, list) else []
        return next((_url_of(app) for app in apps if _url_of(app)), "")

    def _upload(self, path: Path, name: str, stop: StopToken) -> str:
        form = _Form(path, {"custom_id": name}, stop)
        try:
            answer = self._api.send(
                "POST",
                f"{self._api.provider.upload_url}/app-automate/upload",
                data=form.begin,
                headers=form.headers,
                stop=stop,
                timeout=_UPLOAD_SECONDS,
                patience=_UPLOAD_SECONDS,
            )
        except RefusedError as error:
            raise _refusal(path, error) from error
        if url := _url_of(answer):
            return url
        raise InfrastructureError(
            f"BrowserStack took the upload, but named no app_url: {str(answer)[:200]}", reason=UPLOAD_REFUSED
        )


def _refusal(path: Path, error: RefusedError) -> InfrastructureError | SubmitterError:
    said = f"BrowserStack refuses {path.name} ({error})"
    if error.status == 413:
        return SubmitterError("AppTooLarge", f"{said}: it takes apps of up to 1 GB")
    if is_about_the_file(error.status, error.text):
        return SubmitterError("AppInvalid", f"{said}: build the app version again under a new id")
    return InfrastructureError(
        f"{said}: see what BrowserStack's account and plan allow", reason=UPLOAD_REFUSED
    )


def _url_of(app: Any) -> str:
    return str(app.get("app_url") or "") if isinstance(app, dict) else ""


class _Form:
    """A form with one file, which is read while it is sent: apps are larger than a pod's memory."""

    def __init__(self, path: Path, fields: dict[str, str], stop: StopToken) -> None:
        boundary = uuid.uuid4().hex
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        parts.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        self._path, self._stop = path, stop
        self._head, self._tail = "".join(parts).encode(), f"\r\n--{boundary}--\r\n".encode()
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(self._head) + path.stat().st_size + len(self._tail)),
        }

    def begin(self) -> io.BufferedReader:
        """The body, from its beginning."""
        return io.BufferedReader(_Parts(self._head, self._path, self._tail, self._stop))


class _Parts(io.RawIOBase):
    """Some bytes, a file, and some bytes, one after another."""

    def __init__(self, head: bytes, path: Path, tail: bytes, stop: StopToken) -> None:
        self._parts: list[io.BufferedIOBase] = [io.BytesIO(head), path.open("rb"), io.BytesIO(tail)]
        self._stop = stop

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer. Raises Stopped."""
        if self._stop.requested:
            raise Stopped(self._stop.reason)
        while self._parts:
            if count := self._parts[0].readinto(buffer):
                return count
            self._parts.pop(0).close()
        return 0

    def close(self) -> None:
        """Close the file."""
        for part in self._parts:
            part.close()
        super().close()
