"""The app version's package: which URL it has, and fetching it once for the batch."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from .download import DownloadError, FileTooLargeError, NoSuchFileError, download
from .drivers.base import InfrastructureError, SubmitterError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qgjob.api.stores import App

    from .stop import StopToken


def app_url(app: App, app_version_id: str) -> str:
    """The package's URL."""
    return (app.url or "").replace("{appVersionId}", quote(app_version_id, safe=""))


def package_name(url: str) -> str:
    """A file name for the package: the URL's own, because installers look at its ending."""
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    name = re.sub(r"[^A-Za-z0-9._+-]", "_", name).lstrip(".-")[-128:]
    return name if PurePosixPath(name).suffix else "app.apk"


def fetch_app(
    app: App, app_version_id: str, to: Path, *, stop: StopToken, log: Callable[[str], None]
) -> None:
    """Download the package to `to`.

    Raises:
        SubmitterError: AppVersionNotFound, AppTooLarge.
        InfrastructureError: the server could not be reached, or refuses.
        Stopped: `stop` was requested.
    """
    url = app_url(app, app_version_id)
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        size = download(url, to, max_bytes=app.max_bytes, stop=stop, log=log)
    except NoSuchFileError as error:
        message = f"app version {app_version_id} doesn't exist ({error}): upload it, then submit again"
        raise SubmitterError("AppVersionNotFound", message) from error
    except FileTooLargeError as error:
        message = f"{error}: the target's app.maxBytes allows no more"
        raise SubmitterError("AppTooLarge", message) from error
    except DownloadError as error:
        raise InfrastructureError(f"the app could not be downloaded: {error}") from error
    log(f"downloaded app version {app_version_id}: {size} bytes")
