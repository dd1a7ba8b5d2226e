"""The operator's decisions: pure functions over plain data, with time and names passed in."""

from __future__ import annotations
