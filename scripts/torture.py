"""`make torture`: kill, disturb and race releases for some minutes, and print what came of it.

A release of small prepared images goes to a real registry through a proxy that breaks requests
(tests/torture.py). Ends with 1 when anything was lost, wrong or partial.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults import share
from tests.torture import Point, Tally, Yard, attempt, systematic

_KILLS = 120
_DRAWN = 30
_DISTURBED = 6
_RACES = 6
_PART = 0.3


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=9.0, help="Nothing is begun after these.")
    arguments.add_argument("--seed", type=int, default=5, help="Of what is drawn: times and faults.")
    arguments.add_argument("--json", type=Path, help="Write the figures there too.")
    wanted = arguments.parse_args()
    started = time.monotonic()
    tally = Tally()
    with (
        tempfile.TemporaryDirectory(prefix="toolkit-torture-") as name,
        Yard.open(Path(name) / "yard") as yard,
    ):
        for number, (what, step) in enumerate(_steps(yard, tally, random.Random(wanted.seed)), 1):
            if time.monotonic() - started > wanted.minutes * 60:
                break
            attempt(step, tally)
            if number % 10 == 0 or tally.failed:
                print(f"{time.monotonic() - started:4.0f} s  {number:3}  {what}", file=sys.stderr)
    seconds = time.monotonic() - started
    rows = _rows(tally, seconds)
    for label, figure in rows.items():
        print(f"{label:44} {figure:>10}")
    for words in (*tally.wrong, *tally.failed):
        print(f"\n{words}")
    if wanted.json:
        wanted.json.write_text(json.dumps(rows | {"failed": tally.failed, "wrong": tally.wrong}, indent=2))
    return 1 if tally.wrong or tally.failed else 0


def _steps(yard: Yard, tally: Tally, drawn: random.Random) -> "list[tuple[str, Callable[[], None]]]":
    """Races and faults first: they are few. Then kills, points of every kind mixed."""
    steps: list[tuple[str, Callable[[], None]]] = []
    for number in range(_RACES):
        steps.append((f"race {number}", lambda number=number: yard.race(tally, number)))  # type: ignore[misc]
    for number in range(_DISTURBED):
        seed = f"faults {number} {drawn.random()}"
        steps.append((seed, lambda seed=seed: yard.disturb(share(_PART, seed), tally, seed)))  # type: ignore[misc]
    points = systematic(yard)[: _KILLS - _DRAWN]
    points += [Point("time", drawn.randrange(int(yard.seconds * 1000))) for _ in range(_DRAWN)]
    drawn.shuffle(points)
    for point in points:
        steps.append((f"kill at {point}", lambda point=point: yard.kill(point, tally)))  # type: ignore[misc]
    return steps


def _rows(tally: Tally, seconds: float) -> dict[str, str]:
    return {
        "releases killed (SIGKILL)": str(tally.kills),
        "… and ended by --resume as if never killed": str(tally.survived),
        "faults injected": str(tally.faults),
        f"releases with faults in {_PART:.0%} of requests": str(tally.disturbed),
        "… and ended with the same digests": str(tally.undisturbed),
        "races of two releases": str(tally.races),
        "losers told (exit 7)": str(tally.losers),
        "bytes of blobs sent": f"{tally.sent / 1e6:.1f} MB",
        "… twice or in vain": f"{tally.twice / 1e6:.1f} MB",
        "… at most, in one release": f"{tally.most_twice / 1e6:.1f} MB",
        "lists pulled meanwhile": str(tally.pulls),
        "wrong or partial lists seen": str(len(tally.wrong)),
        "other failures": str(len(tally.failed)),
        "seconds": f"{seconds:.0f}",
    }


if __name__ == "__main__":
    sys.exit(main())
