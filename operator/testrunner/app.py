"""The app version's package: which URL it has, and fetching it once for the batch."""

from __future__ import annotations

import re
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urlsplit

from qgjob.api.credentials import APP_HEADERS, APP_S3
from qgjob.api.stores import VERSION_PLACEHOLDER, S3Access

from .bucket_download import download_object
from .cache import CacheBusy
from .digest import sha256_of
from .download import (
    Download,
    DownloadError,
    FileTooLargeError,
    NoSuchFileError,
    RefusedError,
    Version,
    download,
    public,
)
from .drivers.base import InfrastructureError, SubmitterError
from .kept_app import KeptApp
from .s3 import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from types_boto3_s3 import S3Client

    from qgjob.api.stores import App

    from .cache import Cache
    from .secrets import Secrets
    from .stop import StopToken

_SHA256: Final = re.compile(r"\s*\\?([0-9a-fA-F]{64})\b")
_MAX_SHA256_BYTES: Final = 64 * 1024


def app_url(app: App, app_version_id: str) -> str:
    """The package's URL."""
    return _url(app.url or "", app_version_id)


def package_name(url: str) -> str:
    """A file name for the package: the URL's own, because installers look at its ending."""
    try:
        name = PurePosixPath(unquote(urlsplit(url).path)).name
    except ValueError:
        name = ""  # whoever downloads it says what is wrong with it
    name = re.sub(r"[^A-Za-z0-9._+-]", "_", name).lstrip(".-")[-128:]
    return name if PurePosixPath(name).suffix else "app.apk"


def fetch_app(
    app: App,
    app_version_id: str,
    to: Path,
    *,
    secrets: Secrets,
    cache: Cache | None = None,
    stop: StopToken,
    log: Callable[[str], None],
) -> None:
    """Download the package to `to`, or copy it from the cache if it is still the same there.

    Raises:
        SubmitterError: AppVersionNotFound, AppTooLarge.
        InfrastructureError: the server could not be reached, or refuses; the package has another sha256 than it should.
        Stopped: `stop` was requested.
    """
    fetch = _Fetch(app, app_version_id, secrets, stop, log)
    with fetch.explained():
        to.parent.mkdir(parents=True, exist_ok=True)
        fetch.learn_sha256()
        with fetch.kept(cache) as kept:
            if kept is None:
                fetch.download(to)
            else:
                fetch.through(kept, to)


class _Fetch:
    """One package, and what is known about it."""

    def __init__(
        self, app: App, version: str, secrets: Secrets, stop: StopToken, log: Callable[[str], None]
    ) -> None:
        self.url = app_url(app, version)
        self._app = app
        self._version = version
        self._secrets = secrets
        self._stop = stop
        self._log = log
        #: What its sha256 must be; empty where the target names no file that says it.
        self._sha256 = ""
        self._s3: S3Client | None = None
        self._headers: dict[str, str] | None = None

    def learn_sha256(self) -> None:
        if not self._app.sha256_url:
            return
        url = _url(self._app.sha256_url, self._version)
        with tempfile.TemporaryDirectory(prefix="sha256-") as scratch:
            file = Path(scratch) / "sha256"
            self._get(url, file, max_bytes=_MAX_SHA256_BYTES)
            found = _SHA256.match(file.read_text(errors="replace"))
        if found is None:
            raise InfrastructureError(
                f"app.sha256Url: {public(url)} does not begin with a sha256 (64 hexadecimal digits)"
            )
        self._sha256 = found[1].lower()

    def download(self, to: Path, known: Version | None = None) -> Download:
        """From the server, checked; a second time if it has not the sha256 that it should have."""
        got = self._get(self.url, to, max_bytes=self._app.max_bytes, known=known)
        if got.unchanged:
            return got
        for last in (False, True):
            if self._checked(to, last=last):
                break
            got = self._get(self.url, to, max_bytes=self._app.max_bytes)
        self._log(f"downloaded app version {self._version}: {got.size} bytes")
        return got

    @contextmanager
    def kept(self, cache: Cache | None) -> Iterator[KeptApp | None]:
        """What the cache has of it, for this process alone; None where there is no cache, or none to be used."""
        with ExitStack() as held:
            kept = None
            if cache is not None and not self.url.startswith("file:"):
                try:
                    entry = held.enter_context(cache.entry(f"app {self.url}", stop=self._stop))
                    kept = KeptApp(cache, entry)
                except (CacheBusy, OSError) as error:
                    self._log(f"the app is fetched without the cache: {error}")
            yield kept

    def through(self, kept: KeptApp, to: Path) -> None:
        """From the cache where it is still the same there, else from the server, and kept for the next."""
        if self._sha256:
            # A target that names a sha256 means exactly that: another one in the cache is of no use.
            if kept.sha256 == self._sha256 and self._copied(kept, to):
                return
            got = self.download(to)
        else:
            got = self.download(to, kept.version)
            if got.unchanged:
                if self._copied(kept, to):
                    return
                got = self.download(to)
        try:
            kept.keep(to, got.version, url=public(self.url))
        except OSError as error:
            # A full disk there costs the next batch time, and this one nothing.
            self._log(f"the app is not kept in the cache: {error}")

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turns what a download raises into what a batch understands."""
        try:
            yield
        except NoSuchFileError as error:
            message = f"app version {self._version} doesn't exist ({error}): upload it, then submit again"
            raise SubmitterError("AppVersionNotFound", message) from error
        except FileTooLargeError as error:
            message = f"{error}: the target's app.maxBytes allows no more"
            raise SubmitterError("AppTooLarge", message) from error
        except RefusedError as error:
            raise InfrastructureError(f"the app could not be downloaded: {error}: {self._advice}") from error
        except DownloadError as error:
            raise InfrastructureError(f"the app could not be downloaded: {error}") from error
        except OSError as error:
            raise InfrastructureError(f"the app could not be kept: {error}") from error

    @property
    def _advice(self) -> str:
        if self.url.startswith("s3:"):
            secret = self._app.s3.credentials_secret if self._app.s3 else None
            if secret is None:
                return "the TestTarget names no app.s3.credentialsSecret: may the pod's own identity read it?"
            field = "app.s3.credentialsSecret"
        elif secret := self._app.headers_secret:
            field = "app.headersSecret"
        else:
            return "set app.headersSecret in the TestTarget"
        return f"check the Secret {secret} (the TestTarget's {field}), and that it may read the package"

    def _get(self, url: str, to: Path, *, max_bytes: int, known: Version | None = None) -> Download:
        if url.startswith("s3:"):
            return download_object(
                self._client(), url, to, max_bytes=max_bytes, stop=self._stop, log=self._log, known=known
            )
        headers = self._secret_headers() if url.startswith("http") else {}
        return download(
            url, to, max_bytes=max_bytes, stop=self._stop, log=self._log, headers=headers, known=known
        )

    def _client(self) -> S3Client:
        if self._s3 is None:
            self._s3 = connect(self._app.s3 or S3Access(), self._secrets, APP_S3)
        return self._s3

    def _secret_headers(self) -> dict[str, str]:
        if self._headers is None:
            secret = self._app.headers_secret
            self._headers = self._secrets.read(APP_HEADERS, secret) if secret else {}
            for name, value in self._headers.items():
                if not value.isprintable() or not value.isascii():
                    raise InfrastructureError(
                        f"the Secret {secret} (the TestTarget's app.headersSecret): the value of {name} is no header"
                    )
        return self._headers

    def _checked(self, package: Path, *, last: bool) -> bool:
        """Whether its sha256 is right. Raises InfrastructureError where it isn't and this was the last try."""
        if not self._sha256:
            return True
        found = sha256_of(package)
        if found == self._sha256:
            return True
        message = f"{public(self.url)}: its sha256 is {found}, not {self._sha256} as app.sha256Url says"
        if last:
            raise InfrastructureError(f"{message}: was one of the two replaced without the other?")
        self._log(f"{message}; downloading it again")
        return False

    def _copied(self, kept: KeptApp, to: Path) -> bool:
        """Copy it from the cache, unless it was damaged there."""
        if kept.copied(to):
            self._log(f"app version {self._version} is in the cache: {to.stat().st_size} bytes")
            return True
        self._log("the app in the cache is damaged: downloading it")
        return False


def _url(template: str, app_version_id: str) -> str:
    return template.replace(VERSION_PLACEHOLDER, quote(app_version_id, safe=""))
