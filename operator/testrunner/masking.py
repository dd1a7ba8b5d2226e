"""Replacing secret values by *** in all that the runner writes: its log, statuses, and text that is stored.

A value is found as it is, and as it reads in a URL, in JSON, in XML, and inside of base64, whatever stands before
and after it there. Who changes it in another way (reverses it, prints it letter by letter) gets past this.
"""

from __future__ import annotations

import base64
import html
import json
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from qgjob.api.testtarget import TestTargetSpec

MASK: Final = "***"
#: A shorter value is not masked: it would be found in half of what people write, and is no secret.
SHORTEST: Final = 6

_PERCENT: Final = re.compile(r"%[0-9A-F]{2}")
_CUT: Final = "…"


class Masks:
    """Knows the values. Safe to use from several threads."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        forms = {form for value in values for form in _forms(value) if len(form) >= SHORTEST}
        self._forms = sorted((form.encode() for form in forms), key=len, reverse=True)
        self._longest = len(self._forms[0]) if self._forms else 0
        # The longest first: where one value begins with another one, all of it goes.
        self._pattern = re.compile(b"|".join(re.escape(form) for form in self._forms)) if forms else None
        self._by_first: dict[int, list[bytes]] = {}
        for form in self._forms:
            self._by_first.setdefault(form[0], []).append(form)

    def __bool__(self) -> bool:
        """Whether there is anything to mask."""
        return self._pattern is not None

    def text(self, text: str) -> str:
        """The text without the values."""
        raw = text.encode(errors="surrogatepass")
        return self.ready(raw, last=True)[0].decode(errors="surrogatepass")

    def message(self, text: str) -> str:
        """The same for a text that may have been cut to a length: the beginning of a value at its end goes, too."""
        masked = self.text(text)
        body = masked.removesuffix(_CUT)
        raw = body.encode(errors="surrogatepass")
        begin = self._unfinished(raw)
        if len(raw) - begin < SHORTEST:
            return masked
        return raw[:begin].decode(errors="surrogatepass") + MASK + masked[len(body) :]

    def stream(self) -> MaskedStream:
        """For bytes that come in pieces, wherever those are cut."""
        return MaskedStream(self)

    def ready(self, raw: bytes, *, last: bool = False) -> tuple[bytes, bytes]:
        """All of `raw` that can be masked now, and the rest: what may be the beginning of a value.

        With `last` nothing follows, and there is no rest.
        """
        if self._pattern is None:
            return raw, b""
        until = len(raw) if last else self._unfinished(raw)
        out, at = [], 0
        # Looking for each form is much faster than a pattern of all, and most text has none.
        if any(form in raw for form in self._forms):
            for match in self._pattern.finditer(raw):
                if match.start() >= until:
                    break
                out += [raw[at : match.start()], MASK.encode()]
                at = match.end()
        until = max(until, at)
        return b"".join([*out, raw[at:until]]), raw[until:]

    def _unfinished(self, raw: bytes) -> int:
        """Where the value begins that `raw` ends within; its length where there is none."""
        for at in range(max(0, len(raw) - self._longest + 1), len(raw)):
            rest = len(raw) - at
            for form in self._by_first.get(raw[at], ()):
                if rest < len(form) and form.startswith(raw[at:]):
                    return at
        return len(raw)


class MaskedStream:
    """Masks pieces of a stream. A piece is held back only where a value may go on in the next one."""

    def __init__(self, masks: Masks) -> None:
        self._masks = masks
        self._rest = b""

    def feed(self, piece: bytes) -> bytes:
        """Takes a piece; returns what is ready."""
        ready, self._rest = self._masks.ready(self._rest + piece)
        return ready

    def finish(self) -> bytes:
        """What was held back."""
        ready, self._rest = self._masks.ready(self._rest, last=True)
        return ready


def secret_variables(target: TestTargetSpec) -> list[str]:
    """The variables of the runner's environment that hold what a target declares as secret."""
    names = [variable.name for variable in target.secret_env]
    if target.provider.browserstack is not None:
        names += ["BROWSERSTACK_USERNAME", "BROWSERSTACK_ACCESS_KEY"]
    return names


def too_short(target: TestTargetSpec, environment: Mapping[str, str]) -> list[str]:
    """Those of its variables whose values are too short to be masked."""
    return [
        name for name in secret_variables(target) if 0 < len(environment.get(name, "").strip()) < SHORTEST
    ]


def _forms(value: str) -> Iterator[str]:
    """How a value may read."""
    value = value.strip()
    # Of a key or a certificate each line is a secret: logs are read line by line.
    for part in {value, *(line.strip() for line in value.splitlines())}:
        if len(part) < SHORTEST:
            continue
        yield part
        for quoted in (quote(part, safe=""), quote(part), quote_plus(part)):
            yield quoted
            yield _PERCENT.sub(lambda found: found[0].lower(), quoted)
        yield json.dumps(part)[1:-1]
        yield json.dumps(part, ensure_ascii=False)[1:-1]
        escaped = html.escape(part, quote=False)
        yield escaped
        for quot, apos in (("&quot;", "'"), ("&quot;", "&apos;"), ("&quot;", "&#x27;"), ("&quot;", "&#39;")):
            yield escaped.replace('"', quot).replace("'", apos)
        yield from _inside_base64(part.encode())


def _inside_base64(value: bytes) -> Iterator[str]:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(value).decode()
        # Six bits a character: those that hang on the value alone, for each place in a group of three bytes.
        for before in range(3):
            first, last = -(-8 * before // 6), 8 * (before + len(value)) // 6
            yield encode(b"\0" * before + value).decode()[first:last]
