"""`make simulate`: the operator's schedule and others', on the same traces. Text for people, or JSON.

.venv/bin/python -m hack.simulate [--seed N] [--json] [TRACE]...
"""

from __future__ import annotations

import argparse
import json
import sys
from statistics import median
from typing import Any

from hack.simulate.loads import LOADS
from hack.simulate.planned import planned
from hack.simulate.rivals import RIVALS, chosen
from hack.simulate.schedule import BANDS, bound, figures

COLUMNS = ("makespan", "over bound", "installs", "jain", "overtaken")


def main(arguments: list[str]) -> int:
    """Run the traces that are named, or all of them."""
    traces = {load.__name__.replace("_", "-"): load for load in LOADS}
    parser = argparse.ArgumentParser(
        prog="python -m hack.simulate", description="Compare schedules on traces."
    )
    parser.add_argument("traces", nargs="*", metavar="TRACE", help=f"of: {', '.join(traces)}")
    parser.add_argument("--seed", type=int, default=1, help="another seed is another trace of the same kind")
    parser.add_argument("--json", action="store_true", help="figures for programs")
    options = parser.parse_args(arguments)
    if unknown := set(options.traces) - set(traces):
        parser.error(f"there is no trace {', '.join(sorted(unknown))}: choose of {', '.join(traces)}")
    report = {}
    for name in options.traces or traces:
        load = traces[name](options.seed)
        outcome = planned(load)
        schedules = {"qgjob": figures(load, outcome.batches)}
        schedules |= {rival: figures(load, chosen(load, choice)) for rival, choice in RIVALS.items()}
        report[load.name] = {
            "tests": len(load.tests),
            "bound": round(bound(load), 1),
            "planner milliseconds": round(1000 * median(outcome.passes), 2),
            "schedules": schedules,
        }
    print(json.dumps(report, indent=2) if options.json else _text(report))
    return 0


def _text(report: dict[str, Any]) -> str:
    lines = []
    for name, trace in report.items():
        lines += [f"\n{name}: {trace['tests']} tests, bound {trace['bound']} s", ""]
        waits = [f"wait {band}" for band in BANDS]
        lines.append(" | ".join(["", "schedule", *COLUMNS, *waits, ""]).strip())
        lines.append("|" + " --- |" * (1 + len(COLUMNS) + len(BANDS)))
        for schedule, shown in trace["schedules"].items():
            cells = [schedule, *("–" if shown[each] is None else str(shown[each]) for each in COLUMNS)]
            for band in BANDS:
                wait = shown["waits"].get(band)
                cells.append(f"{wait['median']:.0f} / {wait['p95']:.0f}" if wait else "–")
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines).strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
