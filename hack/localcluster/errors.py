"""Errors that a person can act on."""

from __future__ import annotations


class ClusterError(Exception):
    """Something a person must know or do. Its text is one line and says what to do next."""
