"""Following redirects without telling other hosts what only the first one should know."""

from __future__ import annotations

import urllib.request
from typing import IO, TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable
    from email.message import Message

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def opener(secret: Iterable[str]) -> urllib.request.OpenerDirector:
    """Opens URLs; another host that a server redirects to does not get the headers of these names."""
    return urllib.request.build_opener(_Redirects(secret))


class _Redirects(urllib.request.HTTPRedirectHandler):
    def __init__(self, secret: Iterable[str]) -> None:
        self._secret = {name.lower() for name in secret}

    def redirect_request(  # noqa: PLR0917 - urllib's
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        following = super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]
        if following is not None and not _same_host(urlsplit(req.full_url), urlsplit(newurl)):
            for name in [name for name in following.headers if name.lower() in self._secret]:
                following.remove_header(name)
        return following


def _same_host(old: SplitResult, new: SplitResult) -> bool:
    """Also from http to https, never from https to http."""
    ports = [parts.port or _DEFAULT_PORTS.get(parts.scheme) for parts in (old, new)]
    upgraded = (old.scheme, new.scheme) == ("http", "https") and ports == [80, 443]
    return old.hostname == new.hostname and (upgraded or (old.scheme == new.scheme and ports[0] == ports[1]))
