"""Search the batch protocol within bounds of your own: `python -m tests.stateful.protocol --faults 3`."""

from __future__ import annotations

import argparse
import sys

from .rules import FAULTS, RULES, Bounds, Rules
from .search import Search


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.stateful.protocol", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--batches", type=int, default=2)
    parser.add_argument("--operators", type=int, default=2)
    parser.add_argument("--faults", type=int, default=2)
    parser.add_argument("--no-device", action="store_true", help="batches need no device and may overlap")
    parser.add_argument(
        "--any-look", action="store_true", help="operators look at batches that are well, too"
    )
    parser.add_argument("--failing", action="store_true", help="tests may fail, and are retried once")
    parser.add_argument("--only", action="append", choices=FAULTS, help="kinds of faults; all otherwise")
    parser.add_argument("--without", action="append", default=[], choices=RULES, help="leave a rule out")
    parser.add_argument("--max-states", type=int, default=20_000_000)
    options = parser.parse_args()
    bounds = Bounds(
        jobs=options.jobs,
        batches=options.batches,
        operators=options.operators,
        device=not options.no_device,
        any_look=options.any_look,
        faults=options.faults,
        kinds=frozenset(options.only or FAULTS),
        outcomes=("passed", "failed") if options.failing else ("passed",),
        max_states=options.max_states,
    )
    found = Search(Rules(**dict.fromkeys(options.without, False)), bounds).run()
    print(found)
    return 1 if found.violation else 0


if __name__ == "__main__":
    sys.exit(main())
