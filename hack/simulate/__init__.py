"""Schedules compared on traces, in simulated time, with the operator's own planner."""

from __future__ import annotations
