"""Where the time of a release went."""

from collections.abc import Sequence

from toolkit.progress import Event, Kind
from toolkit.spent import Spent


class Clock:
    """Goes on only when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def heard(*events: tuple[float, str, str, Kind]) -> Spent:
    clock = Clock()
    spent = Spent(clock=clock)
    passed: list[Event] = []
    report = spent.listening(passed.append)
    for at, subject, text, kind in events:
        clock.now = at
        report(Event(kind=kind, subject=subject, text=text))
    assert len(passed) == len(events)
    return spent


def unit(name: str, *stages: tuple[float, str]) -> Sequence[tuple[float, str, str, Kind]]:
    return [(at, name, text, Kind.FINISHED if text == "done" else Kind.STAGE) for at, text in stages]


def test_the_stages_of_units_side_by_side_are_summed_and_the_longest_names_its_unit() -> None:
    one = unit(
        "a-amd64",
        (0, "packages 1/2 RUN /opt/uv/uv pip install"),
        (10, "stage-1 1/4 COPY /opt/packages"),
        (12, "exporting layers"),
        (13, "exporting config"),
        (20, "compressing layers"),
        (26, "verifying the layout"),
        (27, "publishing 3 MB"),
        (27.5, "verifying what the registry holds"),
        (28, "done"),
    )
    other = unit("a-arm64", (1, "packages 1/2 RUN"), (25, "exporting layers"), (26, "done"))
    spent = heard(*sorted([*one, *other]))
    assert spent.stages == {
        "install": 34, "copy": 2, "export": 9, "compress": 6, "verify": 1, "publish": 0.5, "read back": 0.5,
    }  # fmt: skip
    assert spent.text == (
        "time by stage, units side by side: install 34 s, copy 2.0 s, export 9.0 s, compress 6.0 s, "
        "verify 1.0 s, publish 0.5 s, read back 0.5 s; the longest stage is install, 24 s of a-arm64"
    )


def test_bases_and_what_came_before_are_stages_too() -> None:
    spent = heard(
        (0, "base debian11", "unpacking its packages", Kind.STARTED),
        (5, "base debian11", "sha256:1", Kind.FINISHED),
    )
    spent.add("set-up", 18.25)
    assert spent.text == (
        "time by stage, units side by side: bases 5.0 s, set-up 18 s; the longest stage is set-up, 18 s"
    )


def test_notes_end_no_stage_and_a_failed_unit_ends_its_own() -> None:
    spent = heard(
        (0, "a", "compressing layers", Kind.STAGE),
        (1, "a", "a remark", Kind.NOTE),
        (2, "", "the clock is behind", Kind.WARNING),
        (4, "a", "no space", Kind.FAILED),
        (9, "a", "compressing layers", Kind.STAGE),
    )
    assert spent.stages == {"compress": 4}


def test_of_nothing_nothing_is_told() -> None:
    assert heard((0, "a", "not published yet", Kind.STARTED), (1, "a", "", Kind.FINISHED)).text == ""
