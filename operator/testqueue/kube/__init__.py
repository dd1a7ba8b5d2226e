"""All of the operator's talking to the API server."""

from __future__ import annotations
