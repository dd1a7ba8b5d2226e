"""The operator: it groups waiting TestJobs into batches, and starts one pod for each."""

from __future__ import annotations
