"""What a row of `make bench` is: two things measured in turn in one run, and the figure to reach.

A module of rows has a tuple ROWS; `scripts.bench.themes` names the modules.
"""

import os
import statistics
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from scripts.bench.measuring import PROJECT, run, timed


class Sense(Enum):
    """Which way a ratio goes, and what of it is good."""

    TIMES_FASTER = "×"
    """Theirs over ours: at least the figure."""
    AT_MOST = "at most"
    """Ours over theirs or, of a row without peer, ours alone: at most the figure."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """The figure that a row is to reach."""

    sense: Sense
    figure: float

    def is_reached(self, ratio: float) -> bool:
        return ratio >= self.figure if self.sense is Sense.TIMES_FASTER else ratio <= self.figure


def times_faster(figure: float) -> Reach:
    return Reach(sense=Sense.TIMES_FASTER, figure=figure)


def at_most(figure: float) -> Reach:
    return Reach(sense=Sense.AT_MOST, figure=figure)


def nothing() -> None:
    """For a side that needs nothing before it."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of those that are compared. `command` is what was run, as anyone can repeat it.

    `measure` does it and returns the value in the row's unit; `before` is done first and is not measured.
    """

    command: str
    measure: Callable[[], float]
    before: Callable[[], object] = nothing


def no_bound() -> str:
    return ""


def no_notes() -> Sequence[str]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Contest:
    """What a row runs, made ready. Of several peers the better one of each round counts.

    `bound` is asked when the figure is not reached: what bounds it, measured. `notes` are lines for below
    the table: sizes, stages. Both while what was made ready is still there, after the last round.
    """

    ours: Side
    theirs: tuple[Side, ...] = ()
    bound: Callable[[], str] = no_bound
    notes: Callable[[], Sequence[str]] = no_notes


@dataclass(frozen=True, kw_only=True)
class Row:
    """`name` is what --only takes. `given` is what the commands run on and how it is made.

    `ready` makes that and takes it away again; `pairs` is how many rounds are enough, of `unit` one says.
    A row that `takes_away` something of this machine is run only where --only has its name, not by a glob.
    """

    name: str
    title: str
    reach: Reach
    ready: Callable[[], AbstractContextManager[Contest]]
    given: str = ""
    pairs: int = 3
    unit: str = "s"
    takes_away: str = ""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a row: each round's values in `row.unit`. `load` is the machine's at its beginning."""

    row: Row
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    our_command: str
    their_commands: tuple[str, ...]
    bound: str
    notes: tuple[str, ...]
    load: float

    @property
    def ratios(self) -> tuple[float, ...]:
        """In the sense of the figure to reach."""
        if not self.theirs:
            return self.ours
        pairs = zip(self.ours, self.theirs, strict=True)
        if self.row.reach.sense is Sense.TIMES_FASTER:
            return tuple(theirs / ours for ours, theirs in pairs)
        return tuple(ours / theirs for ours, theirs in pairs)

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def is_reached(self) -> bool:
        return self.row.reach.is_reached(self.ratio)


def compete(row: Row, pairs: int | None = None) -> Result:
    """Measure a row: ours and theirs in turn, in each round. Raises BenchFailed."""
    load = os.getloadavg()[0]
    with row.ready() as contest:
        rounds = [_round(contest) for _ in range(pairs or row.pairs)]
        result = Result(
            row=row,
            ours=tuple(ours for ours, _ in rounds),
            theirs=tuple(min(theirs) for _, theirs in rounds if theirs),
            our_command=contest.ours.command,
            their_commands=tuple(side.command for side in contest.theirs),
            bound="",
            notes=(),
            load=load,
        )
        bound = "" if result.is_reached else contest.bound()
        return replace(result, bound=bound, notes=tuple(contest.notes()))


def _round(contest: Contest) -> tuple[float, tuple[float, ...]]:
    return _value(contest.ours), tuple(map(_value, contest.theirs))


def _value(side: Side) -> float:
    side.before()
    return side.measure()


def command(
    *words: str, shown: str = "", cwd: Path = PROJECT, before: Callable[[], object] = nothing
) -> Side:
    """A command whose seconds on the clock are measured; `shown` is how one would type it."""
    return Side(
        command=shown or " ".join(words), measure=lambda: timed(lambda: run(*words, cwd=cwd)), before=before
    )
