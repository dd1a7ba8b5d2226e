"""CPU time of the planner's passes while 100,000 TestJobs wait and 25 come in each pass.

.venv/bin/python -m hack.simulate.passes
"""

from __future__ import annotations

import random
from statistics import median, quantiles

from hack.simulate.loads import Load, Test
from hack.simulate.planned import World

WAITING, PASSES, NEWS = 100_000, 200, 25
#: App versions, orgs, slots.
CASES = ((20, 1, 8), (20, 6, 100), (100_000, 6, 8), (500, 500, 100), (1_000, 10_000, 8))


def main() -> None:
    """Print a line for each case."""
    print("versions  orgs    slots  median ms  95th percentile ms (of CPU time)")
    for versions, orgs, slots in CASES:
        chosen = random.Random(1)
        tests = [
            Test(
                name=f"t-{number:06d}",
                org=f"org-{chosen.randrange(orgs)}",
                app=f"v-{chosen.randrange(versions)}",
                test=f"{chosen.randrange(5000)}.spec.ts",
                priority=chosen.randint(1, 10),
                submitted=0.0,
                seconds=8.0,
            )
            for number in range(WAITING + PASSES * NEWS)
        ]
        world = World(Load("passes", tuple(tests), slots=slots))
        world.submit(tests[:WAITING])
        world.plan(0.0)
        began = len(world.passes)
        for number in range(PASSES):
            world.submit(tests[WAITING + number * NEWS :][:NEWS])
            # In every other pass a slot is free.
            world.plan(world.next_end() if number % 2 else world.now)
        seconds = world.passes[began:]
        shown = f"{1000 * median(seconds):9.1f}  {1000 * quantiles(seconds, n=20)[-1]:9.1f}"
        print(f"{versions:<9} {orgs:<7} {slots:<6} {shown}", flush=True)


if __name__ == "__main__":
    main()
