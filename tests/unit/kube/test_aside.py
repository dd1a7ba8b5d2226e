"""Work beside the passes."""

from __future__ import annotations

import asyncio

from testqueue.kube.aside import Aside


class Works:
    """Notes what has begun and what has ended; `gate` lets it go on."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.gate = asyncio.Event()

    async def carry_out(self, work: str) -> None:
        self.begun.append(work)
        await self.gate.wait()
        self.ended.append(work)


async def turns() -> None:
    """Let every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_same_work_is_not_done_twice_at_once_but_again_later() -> None:
    works = Works()
    aside = Aside(works.carry_out)
    aside.add("a", "first", pressing=True)
    await turns()

    aside.add("a", "while it runs", pressing=True)
    works.gate.set()
    await turns()
    aside.add("a", "after it", pressing=True)
    await turns()

    assert works.ended == ["first", "after it"]


async def test_no_more_than_so_many_run_at_once_and_all_are_done() -> None:
    works = Works()
    aside = Aside(works.carry_out, workers=2)
    for name in "abcd":
        aside.add(name, name, pressing=True)
    await turns()
    assert works.begun == ["a", "b"]

    works.gate.set()
    await turns()
    assert sorted(works.ended) == ["a", "b", "c", "d"]


async def test_the_pressing_comes_before_the_patient() -> None:
    works = Works()
    aside = Aside(works.carry_out, workers=1)
    aside.add("running", "running", pressing=False)
    await turns()
    aside.add("explain", "explain", pressing=False)
    aside.add("repair", "repair", pressing=True)

    works.gate.set()
    await turns()

    assert works.ended == ["running", "repair", "explain"]


async def test_at_the_end_what_has_begun_is_finished_and_nothing_else_begins() -> None:
    works = Works()
    aside = Aside(works.carry_out, workers=1)
    for name in "ab":
        aside.add(name, name, pressing=True)
    await turns()
    ending = asyncio.create_task(aside.finish())
    await turns()
    assert not ending.done()

    works.gate.set()
    await ending

    assert works.ended == ["a"]
