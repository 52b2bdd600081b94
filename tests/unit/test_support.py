"""Whether anybody still looks after what an image is made of."""

import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tests.projects import ARM64, CATALOG, PYTORCH, unit, units
from toolkit.catalog.model import Accelerator, EndOfLife, Recipe, State, Support
from toolkit.cli.plan import plan
from toolkit.cli.release import build, release
from toolkit.errors import UsageError
from toolkit.oci import Reference
from toolkit.support import (
    End,
    Ends,
    in_texts,
    known_ends,
    parse_ends,
    require_supported,
    support_of,
    supports_of,
)
from toolkit.units import BuildUnit

ENDS = parse_ends("""
[pythons."3.9"]
date = "2025-10-31"
source = "https://python.example"
[bases.debian11]
name = "Debian 11"
suite = "bullseye"
date = "2026-08-31"
source = "https://debian.example"
[frameworks.mxnet]
name = "MXNet"
event = "moved to the Attic"
date = "2023-09"
source = "https://attic.example"
[accelerators.eia]
name = "Elastic Inference"
event = "ended"
date = "2024-04"
source = "https://ei.example"
""")
NOTHING = Ends(pythons={}, bases={}, suites={}, frameworks={}, accelerators={})
LATER = date(2026, 11, 21)
PAST_ITS_PYTHON = "Python 3.9: end of life 2025-10-31"
PAST_ITS_BASE = "Debian 11: end of life 2026-08-31"


def with_image(**changes: object) -> BuildUnit:
    return replace(unit(), image=replace(unit().image, **changes))  # type: ignore[arg-type]


def with_base(**changes: object) -> BuildUnit:
    return replace(unit(), base=replace(unit().base, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("day", "state", "end", "reasons"),
    [
        (date(2025, 10, 31), State.CURRENT, date(2025, 10, 31), ()),
        (date(2025, 11, 1), State.LEGACY, date(2025, 10, 31), (PAST_ITS_PYTHON,)),
        (date(2026, 8, 31), State.LEGACY, date(2025, 10, 31), (PAST_ITS_PYTHON,)),
        (date(2026, 9, 1), State.LEGACY, date(2025, 10, 31), (PAST_ITS_PYTHON, PAST_ITS_BASE)),
    ],
)
def test_an_image_is_legacy_from_the_day_after_the_first_end_of_its_parts(
    day: date, state: State, end: date, reasons: tuple[str, ...]
) -> None:
    assert support_of(unit(), ENDS, on=day) == Support(
        state=state, date=end, source="https://python.example", reasons=reasons
    )


def test_the_end_of_a_service_is_worse_than_an_earlier_end_of_a_framework() -> None:
    support = support_of(with_image(framework="mxnet", accelerator=Accelerator.EIA), ENDS, on=LATER)
    assert (support.state, support.date, support.source) == (
        State.ENDED,
        date(2024, 4, 30),
        "https://ei.example",
    )
    assert support.reasons == (
        "Elastic Inference: ended 2024-04",
        "MXNet: moved to the Attic 2023-09",
        PAST_ITS_PYTHON,
        PAST_ITS_BASE,
    )


def test_a_month_counts_to_its_end() -> None:
    eia = with_image(accelerator=Accelerator.EIA)
    assert support_of(eia, ENDS, on=date(2024, 4, 30)).state is State.CURRENT
    assert support_of(eia, ENDS, on=date(2024, 5, 1)).state is State.ENDED


def test_of_what_nobody_knows_an_end_it_is_current_without_a_date() -> None:
    assert support_of(unit(), NOTHING, on=LATER) == Support(state=State.CURRENT)
    assert in_texts(Support(state=State.CURRENT)) == {
        "state": "current",
        "date": "",
        "source": "",
        "reasons": "",
    }


def test_a_base_by_another_name_is_known_by_its_suite() -> None:
    named = with_base(name="slim")
    assert PAST_ITS_BASE in support_of(named, ENDS, on=LATER).reasons
    pulled = with_base(name="slim", origin=Reference.parse("mirror.example/debian:11-slim"))
    assert support_of(pulled, ENDS, on=LATER).reasons == (PAST_ITS_PYTHON,)


def test_a_base_may_say_otherwise() -> None:
    extended = EndOfLife(date=date(2031, 6, 30), source="https://elts.example")
    support = support_of(with_base(python="3.13", end_of_life=extended), ENDS, on=LATER)
    assert support == Support(state=State.CURRENT, date=date(2031, 6, 30), source="https://elts.example")
    over = with_base(end_of_life=replace(extended, date=date(2026, 1, 1)))
    assert "base debian11: end of life 2026-01-01" in support_of(over, ENDS, on=LATER).reasons


@pytest.mark.parametrize(
    ("own", "state", "reason"),
    [
        (State.ENDED, State.ENDED, "no hardware left: ended 2026-01-01"),
        (State.LEGACY, State.LEGACY, "no hardware left: end of life 2026-01-01"),
        (State.CURRENT, State.LEGACY, "no hardware left: end of life 2026-01-01"),
    ],
)
def test_a_row_may_know_an_end_of_its_own(own: State, state: State, reason: str) -> None:
    said = Support(
        state=own, date=date(2026, 1, 1), source="https://row.example", reasons=("no hardware left",)
    )
    ended = with_image(support=said)
    assert support_of(ended, NOTHING, on=date(2026, 1, 1)).state is State.CURRENT
    assert support_of(ended, NOTHING, on=date(2026, 1, 2)) == Support(
        state=state, date=date(2026, 1, 1), source="https://row.example", reasons=(reason,)
    )


def test_what_a_row_and_the_table_both_know_is_told_once_in_the_words_of_the_row() -> None:
    said = Support(
        state=State.ENDED, date=date(2024, 4, 30), source="https://row.example", reasons=("it is gone",)
    )
    support = support_of(with_image(accelerator=Accelerator.EIA, support=said), ENDS, on=LATER)
    assert support.source == "https://row.example"
    assert support.reasons == ("it is gone: ended 2024-04-30", PAST_ITS_PYTHON, PAST_ITS_BASE)


def test_a_row_cannot_call_itself_better_than_its_parts_are() -> None:
    said = Support(state=State.CURRENT, date=date(2030, 1, 1), source="https://row.example")
    assert support_of(with_image(support=said), ENDS, on=LATER).state is State.LEGACY


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(1, 4000))
def test_support_never_gets_better_with_time(day: date, days: int) -> None:
    states = list(State)
    for each in (unit(), with_image(framework="mxnet", accelerator=Accelerator.EIA)):
        before, after = (support_of(each, ENDS, on=when).state for when in (day, day + timedelta(days=days)))
        assert states.index(before) <= states.index(after)


def test_units_of_an_image_have_one_answer() -> None:
    found = supports_of(units(), ENDS, on=LATER)
    assert found == {each.identifier: support_of(each, ENDS, on=LATER) for each in units()}


# --- the table


def test_every_known_end_has_a_page_that_says_so() -> None:
    ends = known_ends()
    tables = (ends.pythons, ends.bases, ends.suites, ends.frameworks, ends.accelerators)
    every = [end for table in tables for end in table.values()]
    assert every
    assert all(end.source.startswith("https://") for end in every)
    assert all(re.search(r": .+ \d{4}-\d{2}(-\d{2})?$", end.reason) for end in every)


def test_the_table_knows_the_ends_that_decide_the_first_catalog() -> None:
    ends = known_ends()
    assert ends.pythons["3.9"].date == date(2025, 10, 31)
    assert ends.bases["debian11"] == ends.suites["bullseye"]
    assert ends.bases["debian11"] == End(
        state=State.LEGACY,
        date=date(2026, 8, 31),
        source="https://wiki.debian.org/LTS",
        reason="Debian 11 LTS: end of life 2026-08-31",
    )
    assert ends.frameworks["mxnet"].state is State.LEGACY
    assert (ends.accelerators["eia"].state, ends.accelerators["eia"].date) == (State.ENDED, date(2024, 4, 30))


def test_every_base_that_can_be_bootstrapped_has_an_end() -> None:
    suites = {each.base.origin.suite for each in units() if isinstance(each.base.origin, Recipe)}
    assert suites <= known_ends().suites.keys()


# --- refusing

EIA = PYTORCH.replace("pytorch", "mxnet").replace('"cpu"', '"eia"').replace("arm64", "amd64", 1)
EIA = EIA.replace('architectures = ["amd64", "amd64"]', 'architectures = ["amd64"]')


def refusal(accepted: tuple[State, ...], some: tuple[BuildUnit, ...]) -> UsageError:
    with pytest.raises(UsageError) as caught:
        require_supported(some, ENDS, on=LATER, accepted=accepted)
    return caught.value


def line_of(text: str, header: str) -> int:
    return text.splitlines().index(header) + 1


def test_every_image_that_is_not_accepted_is_named_with_its_line_at_once() -> None:
    error = refusal((State.CURRENT,), units())
    said = f"is legacy: {PAST_ITS_PYTHON}; {PAST_ITS_BASE} (https://python.example)"
    assert error.message.splitlines() == [
        "2 images are not looked after any more:",
        *(
            f'images.toml:{line_of(CATALOG, f"[images.{name}]")}: image "{name}" {said}'
            for name in ("pytorch-inference", "tensorflow-inference")
        ),
    ]
    assert "--refuse-legacy" in error.remedy


def test_an_ended_image_is_refused_with_the_pattern_that_leaves_it_out() -> None:
    error = refusal((State.CURRENT, State.LEGACY), units(CATALOG + EIA))
    first, row = error.message.splitlines()
    assert first == "1 image is not looked after any more:"
    assert row.startswith(f"images.toml:{line_of(CATALOG + EIA, '[images.mxnet-inference]')}: image")
    assert 'image "mxnet-inference" is ended: Elastic Inference: ended 2024-04; ' in error.message
    assert error.remedy == "Leave them out with '!*-eia-*', or take them all the same: --allow-eol"


def test_an_ended_image_whose_accelerator_lives_on_is_left_out_by_its_name() -> None:
    own = 'support = {state = "ended", date = "2026-01-01", source = "https://x.example", reason = "gone"}\n'
    text = CATALOG.replace(PYTORCH, PYTORCH + own)
    error = refusal((State.CURRENT, State.LEGACY), units(text))
    assert error.remedy.startswith(f"Leave them out with '!{ARM64.removesuffix('-arm64')}', or ")


def test_what_is_accepted_passes() -> None:
    require_supported(units(), ENDS, on=LATER, accepted=(State.CURRENT, State.LEGACY))
    require_supported(units(CATALOG + EIA), ENDS, on=LATER, accepted=tuple(State))
    require_supported(units(), ENDS, on=date(2025, 1, 1), accepted=(State.CURRENT,))


# --- the commands; a unit test has no network, so what is refused is refused before any is asked


COMMANDS = (build, plan, release)


def refused(command: click.Command, folder: Path, *arguments: str) -> UsageError:
    (folder / "images.toml").write_text(CATALOG + EIA)
    (folder / "dockerfiles").mkdir()
    (folder / "dockerfiles/inference.Dockerfile.j2").write_text("FROM {{ base }}\n")
    asked = [*arguments, "--catalog", str(folder / "images.toml")]
    with pytest.raises(UsageError) as caught:
        CliRunner().invoke(command, asked, catch_exceptions=False, standalone_mode=False)
    return caught.value


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_a_service_that_ended_is_refused_by_every_command_that_would_build_for_it(
    command: click.Command, tmp_path: Path
) -> None:
    error = refused(command, tmp_path, "*")
    assert 'image "mxnet-inference" is ended: Amazon Elastic Inference: ended 2024-04' in error.message
    assert "--allow-eol" in error.remedy


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_legacy_images_are_refused_when_that_is_asked_for(command: click.Command, tmp_path: Path) -> None:
    error = refused(command, tmp_path, "pytorch-*", "--refuse-legacy")
    assert 'image "pytorch-inference" is legacy: Python 3.9: end of life 2025-10-31' in error.message


def test_to_refuse_legacy_images_and_to_take_ended_ones_makes_no_sense(tmp_path: Path) -> None:
    assert "opposite" in refused(plan, tmp_path, "--refuse-legacy", "--allow-eol").message
