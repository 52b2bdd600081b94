"""`make torture`: kill, disturb and race releases for some minutes, and print what came of it.

A release of small prepared images goes to a real registry through a proxy that breaks requests
(tests/torture.py). Ends with 1 when anything was lost, wrong or partial.
"""

import argparse
import functools
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults import share
from tests.torture import Point, Tally, Yard, attempt, systematic

_KILLS = 120
_DRAWN = 30
_DISTURBED = 5
_RACES = 6
_PART = 0.3


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=9.0, help="Nothing is begun after these.")
    arguments.add_argument("--seed", type=int, default=5, help="Of what is drawn: times and faults.")
    arguments.add_argument("--json", type=Path, help="Write the figures there too.")
    wanted = arguments.parse_args()
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="toolkit-torture-") as name,
        Yard.open(Path(name) / "one") as one,
        Yard.open(Path(name) / "two") as two,
    ):
        steps = _steps(one, random.Random(wanted.seed))
        lock = threading.Lock()

        def work(yard: Yard) -> Tally:
            tally = Tally()
            while time.monotonic() - started < wanted.minutes * 60:
                with lock:
                    what, step = steps.pop() if steps else ("", None)
                if step is None:
                    break
                attempt(functools.partial(step, yard, tally), tally)
                if len(steps) % 10 == 0:
                    print(
                        f"{time.monotonic() - started:4.0f} s  {len(steps):3} left  {what}", file=sys.stderr
                    )
            return tally

        # Much of a release is waiting: for the disk, for a second try.
        with ThreadPoolExecutor(2) as lanes:
            tally = sum(lanes.map(work, (one, two)), Tally())
    seconds = time.monotonic() - started
    rows = _rows(tally, seconds)
    for label, figure in rows.items():
        print(f"{label:44} {figure:>10}")
    for words in (*tally.wrong, *tally.failed):
        print(f"\n{words}")
    if wanted.json:
        wanted.json.write_text(json.dumps(rows | {"failed": tally.failed, "wrong": tally.wrong}, indent=2))
    return 1 if tally.wrong or tally.failed else 0


_Step = Callable[[Yard, Tally], None]


def _steps(yard: Yard, drawn: random.Random) -> list[tuple[str, _Step]]:
    """From the last on: races and faults, which are few; then kills, points of every kind mixed."""
    points = systematic(yard)[: _KILLS - _DRAWN]
    points += [Point("time", drawn.randrange(int(yard.seconds * 1000))) for _ in range(_DRAWN)]
    drawn.shuffle(points)
    seeds = [f"faults {number} {drawn.random()}" for number in range(_DISTURBED)]
    return [
        *((f"kill at {point}", functools.partial(_kill, point)) for point in points),
        *((seed, functools.partial(_disturb, seed)) for seed in seeds),
        *((f"race {number}", functools.partial(_race, number)) for number in range(_RACES)),
    ]


def _kill(point: Point, yard: Yard, tally: Tally) -> None:
    yard.kill(point, tally)


def _disturb(seed: str, yard: Yard, tally: Tally) -> None:
    yard.disturb(share(_PART, seed), tally, seed)


def _race(number: int, yard: Yard, tally: Tally) -> None:
    yard.race(tally, number)


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
