"""`make bench`: the toolkit measured against what one would type instead.

Each row is a ratio of two things measured in turn in this run: the median of several rounds, with the
spread. What was run stands below the table; dist/bench.json has the same for programs. Ends with 1 when a
row could not be run; a figure that is not reached is printed with what bounds it, and is no failure.
"""

import argparse
import fnmatch
import json
import sys
from pathlib import Path

from scripts.bench.measuring import PROJECT, BenchFailed
from scripts.bench.report import document, table
from scripts.bench.rows import Result, Row, compete
from scripts.bench.themes import ROWS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", help="A row or a glob. May be repeated.")
    parser.add_argument("--pairs", type=int, help="Rounds of each row, whatever it asks for.")
    parser.add_argument("--quick", action="store_true", help="One round of each row.")
    parser.add_argument("--list", action="store_true", help="Print the names of the rows and end.")
    parser.add_argument("--json", type=Path, default=PROJECT / "dist" / "bench.json", metavar="FILE")
    arguments = parser.parse_args()
    globs = arguments.only or ["*"]
    for glob in globs:
        if not any(fnmatch.fnmatchcase(row.name, glob) for row in ROWS):
            parser.error(f"no row is called {glob}; there are: {', '.join(row.name for row in ROWS)}")
    fitting = [row for row in ROWS if any(fnmatch.fnmatchcase(row.name, glob) for glob in globs)]
    if arguments.list:
        print("\n".join(map(_listed, fitting)))
        return 0
    chosen = [row for row in fitting if not row.takes_away or row.name in globs]
    if not chosen:
        parser.error(f"asked for by its very name alone: {', '.join(row.name for row in fitting)}")
    results: list[Result] = []
    failures: dict[str, str] = {}
    for number, row in enumerate(chosen, start=1):
        print(f"[{number}/{len(chosen)}] {row.name}", file=sys.stderr, flush=True)
        try:
            results.append(compete(row, 1 if arguments.quick else arguments.pairs))
        except BenchFailed as error:
            failures[row.name] = str(error)
    if results:
        print(table(results))
    for name, why in failures.items():
        print(f"{name} FAILED: {why}", file=sys.stderr)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(document(results, failures), indent=2, ensure_ascii=False) + "\n")
    return 1 if failures else 0


def _listed(row: Row) -> str:
    warning = f"; only by its name, as it takes away {row.takes_away}" if row.takes_away else ""
    return f"{row.name:<24} {row.title}{warning}"


if __name__ == "__main__":
    sys.exit(main())
