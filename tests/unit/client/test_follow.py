"""Following through refusals that a real server makes only for moments; restarts are in tests/apiserver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from qgjob.client import ApiError, Changed, Client, Listed, Trouble, Unreachable, follow
from tests.unit.cli import jobs

if TYPE_CHECKING:
    from collections.abc import Iterator

Step = list[dict[str, Any]] | list[tuple[str, dict[str, Any]]] | Exception


class Script:
    """Plays a client: each list and each watch takes the next step; the clock moves when somebody sleeps."""

    timeout = 30.0

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.now = 0.0

    def list_page(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {"items": self._next(), "metadata": {"resourceVersion": "1"}}

    def watch(self, *_: Any, **__: Any) -> Any:
        return _Events(self._next())

    def _next(self) -> Any:
        step = self.steps.pop(0) if self.steps else []
        if not self.steps:
            self.now = 1000.0  # the end of the play is the end of time
        if isinstance(step, Exception):
            raise step
        return step

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def run(self) -> Iterator[Any]:
        return follow(
            cast("Client", self), "testjobs", deadline=500.0, clock=lambda: self.now, sleep=self.sleep
        )


class _Events(list[Any]):
    def __enter__(self) -> _Events:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def job(name: str = "a", version: str = "2") -> dict[str, Any]:
    made = jobs.pending(name)
    return {**made, "metadata": {**made["metadata"], "resourceVersion": version}}


def test_a_list_comes_first_and_then_every_change() -> None:
    script = Script([job()], [("MODIFIED", job()), ("BOOKMARK", job()), ("DELETED", job())])

    assert list(script.run()) == [Listed([job()]), Changed(job()), Changed(job(), deleted=True)]


def test_a_version_that_is_too_old_leads_to_a_new_list() -> None:
    script = Script([job()], ApiError(410, "Expired", "too old"), [])

    assert list(script.run()) == [Listed([job()]), Listed([])]


@pytest.mark.parametrize("error", [Unreachable("gone"), ApiError(503, "", ""), ApiError(404, "", "")])
def test_trouble_is_told_and_outlasted(error: Exception) -> None:
    script = Script([job()], error, error, [])

    assert list(script.run()) == [Listed([job()]), Trouble(error), Trouble(error), Listed([])]


def test_a_refusal_that_lasts_is_raised() -> None:
    refusal = ApiError(403, "Forbidden", "no longer")
    script = Script([job()], *[refusal] * 20)

    with pytest.raises(ApiError, match="no longer"):
        list(script.run())

    assert 30 < script.now < 60


@pytest.mark.parametrize("error", [Unreachable("wrong address"), ApiError(403, "Forbidden", "")])
def test_trouble_with_the_first_list_is_raised(error: Exception) -> None:
    with pytest.raises(type(error)):
        list(Script(error).run())


def test_the_first_list_is_made_even_where_no_time_is_left() -> None:
    script = Script([job()])
    script.now = 500.0

    assert list(script.run()) == [Listed([job()])]
