"""What kopf carries: logging in, start-up and clean-up, and the events of the few objects."""

from __future__ import annotations
