"""The API of group qgjob.dev: models of its three resources, and the life of a TestJob.

`constants` and `lifecycle` need only the standard library; the models need pydantic.
"""

from __future__ import annotations
