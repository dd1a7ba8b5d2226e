"""Log lines: one JSON object each, or text for people.

What a line is about goes into keys of its own, so that a log store can select by them:
`logger.info("claimed", extra=about(namespace="ci", batch="tb-…"))`.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, Literal

KEYS: Final = ("namespace", "batch", "testjob", "target", "pod", "resource")
#: kopf says much at these levels that our own lines say better.
_QUIET: Final = {"kopf": logging.WARNING, "aiohttp.access": logging.WARNING, "asyncio": logging.WARNING}


def about(
    *,
    namespace: str | None = None,
    batch: str | None = None,
    testjob: str | None = None,
    target: str | None = None,
    pod: str | None = None,
    resource: str | None = None,
) -> dict[str, Any]:
    """`extra=` of a log call: the objects that the line is about."""
    values = (namespace, batch, testjob, target, pod, resource)
    return {key: value for key, value in zip(KEYS, values, strict=True) if value}


class JsonFormatter(logging.Formatter):
    """A line is one JSON object: time, level, logger, message, the keys, an exception's traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of one record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update((key, record.__dict__[key]) for key in KEYS if key in record.__dict__)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """A line for a terminal: time, level, message, and the keys as key=value."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of one record."""
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        keys = "".join(f" {key}={record.__dict__[key]}" for key in KEYS if key in record.__dict__)
        text = f"{at} {record.levelname.lower():7} {record.getMessage()}{keys}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


def configure(level: str, form: Literal["json", "text"]) -> None:
    """Send every logger's lines to standard error in this form; replaces what was configured before."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if level != "debug":
        for name, least in _QUIET.items():
            logging.getLogger(name).setLevel(least)
