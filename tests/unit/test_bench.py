"""The frame of `make bench`: what a ratio means, and that no row is lost."""

import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.bench import __main__ as bench
from scripts.bench.measuring import BenchFailed
from scripts.bench.report import document, table
from scripts.bench.rows import Contest, Reach, Row, Side, at_most, compete, times_faster
from scripts.bench.themes import ROWS


def side(name: str, *values: float) -> Side:
    """Takes these values, round after round."""
    coming = iter(values)
    return Side(command=name, measure=lambda: next(coming))


def row(reach: Reach, ours: Side, *theirs: Side, name: str = "row", pairs: int = 3) -> Row:
    @contextmanager
    def ready() -> Iterator[Contest]:
        yield Contest(ours=ours, theirs=theirs, bound=lambda: "the disk", notes=lambda: ["so big"])

    return Row(name=name, title=f"the {name}", reach=reach, ready=ready, given="nothing", pairs=pairs)


def test_times_faster_is_theirs_over_ours_and_the_median_of_the_rounds() -> None:
    found = compete(row(times_faster(5), side("a", 1, 1, 2), side("b", 10, 6, 8)))
    assert (found.ratios, found.ratio, found.is_reached) == ((10, 6, 4), 6, True)


def test_at_most_is_ours_over_theirs() -> None:
    found = compete(row(at_most(0.5), side("a", 1, 1, 1), side("b", 4, 2, 1)))
    assert (found.ratio, found.is_reached) == (0.5, True)


def test_of_several_peers_the_better_one_of_each_round_counts() -> None:
    found = compete(row(at_most(1), side("a", 1, 1, 1), side("b", 9, 2, 9), side("c", 3, 8, 4)))
    assert found.theirs == (3, 2, 4)
    assert found.their_commands == ("b", "c")


def test_a_row_without_peer_is_a_figure_of_its_own() -> None:
    found = compete(row(at_most(150), side("a", 140, 120, 160)))
    assert (found.ratio, found.is_reached, found.theirs) == (140, True, ())


def test_what_bounds_it_is_asked_only_where_the_figure_is_missed() -> None:
    reached = compete(row(at_most(1), side("a", 1), side("b", 1), pairs=1))
    missed = compete(row(at_most(1), side("a", 2), side("b", 1), pairs=1))
    assert (reached.bound, missed.bound) == ("", "the disk")
    assert "bounded by: the disk" in table([missed])
    assert "bounded by" not in table([reached])


def test_what_comes_before_a_side_is_done_each_time_and_not_measured() -> None:
    done: list[int] = []
    ours = Side(command="a", measure=lambda: float(len(done)), before=lambda: done.append(1))
    assert compete(row(at_most(9), ours)).ours == (1, 2, 3)


def test_the_table_says_what_was_run_and_whether_it_is_reached() -> None:
    text = table([compete(row(times_faster(5), side("toolkit x", 1), side("docker y", 4), pairs=1))])
    assert text.splitlines()[1].split() == [
        "the",
        "row",
        "1",
        "s",
        "4",
        "s",
        "4",
        "×",
        "4",
        "to",
        "4",
        "5",
        "×",
        "no",
    ]
    assert "row: `toolkit x` against `docker y`" in text
    assert "given: nothing" in text
    assert "so big" in text


def test_programs_get_every_value() -> None:
    found = compete(row(times_faster(5), side("a", 1, 2, 4), side("b", 8, 8, 8)))
    read = json.loads(json.dumps(document([found], {"other": "why"})))
    assert read["rows"]["row"]["ours"] == [1, 2, 4]
    assert read["rows"]["row"]["ratio"] == {"median": 4, "low": 2, "high": 8}
    assert read["rows"]["row"]["reach"] == {"sense": "times_faster", "figure": 5}
    assert read["rows"]["row"]["reached"] is False
    assert read["failures"] == {"other": "why"}


def _failing() -> AbstractContextManager[Contest]:
    raise BenchFailed("no engine")


@pytest.fixture
def two_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """One that fails and one that does not; where the figures go."""
    bad = Row(name="bad", title="bad", reach=at_most(1), ready=_failing)
    good = row(at_most(1), side("a", *[1] * 9), name="good")
    monkeypatch.setattr(bench, "ROWS", (bad, good))
    return tmp_path / "bench.json"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    return bench.main()


def test_a_row_that_cannot_be_run_is_an_error_and_the_others_are_run(
    two_rows: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--json", str(two_rows)) == 1
    printed = capsys.readouterr()
    assert "the good" in printed.out
    assert "bad FAILED: no engine" in printed.err
    assert json.loads(two_rows.read_text())["failures"] == {"bad": "no engine"}


def test_rows_are_chosen_by_name_and_a_name_that_fits_none_is_an_error(
    two_rows: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--only", "go*", "--quick", "--json", str(two_rows)) == 0
    assert json.loads(two_rows.read_text())["rows"]["good"]["ours"] == [1]
    with pytest.raises(SystemExit):
        run(monkeypatch, "--only", "typo", "--json", str(two_rows))
    assert "there are: bad, good" in capsys.readouterr().err


def test_a_row_that_takes_something_away_is_run_by_its_name_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    usual = row(at_most(1), side("a", *[1] * 9), name="usual")
    costly = replace(row(at_most(1), side("b", *[1] * 9), name="costly"), takes_away="the engine")
    monkeypatch.setattr(bench, "ROWS", (usual, costly))
    figures = tmp_path / "bench.json"
    for arguments, names in (
        ((), {"usual"}),
        (("--only", "*"), {"usual"}),
        (("--only", "costly"), {"costly"}),
    ):
        assert run(monkeypatch, "--json", str(figures), *arguments) == 0
        assert json.loads(figures.read_text())["rows"].keys() == names
    with pytest.raises(SystemExit):
        run(monkeypatch, "--only", "cost*", "--json", str(figures))
    assert "by its very name alone: costly" in capsys.readouterr().err
    assert run(monkeypatch, "--list") == 0
    assert "the costly; only by its name, as it takes away the engine" in capsys.readouterr().out


def test_what_takes_the_engine_away_says_so() -> None:
    assert {each.name for each in ROWS if each.takes_away} == {"bare"}


def test_each_row_has_a_name_of_its_own() -> None:
    names = [each.name for each in ROWS]
    assert len(set(names)) == len(names)
