"""Plan and record → what one reads before acting, and its text."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

import click
import pytest

from tests.projects import AMD64, ARM64, digest, rendered, template, unit
from tests.records import image, record
from toolkit import tags
from toolkit.builders.placement import assign_here
from toolkit.catalog.model import State, Support
from toolkit.cli.plan_text import duration_text, explain_lines, plan_lines
from toolkit.oci import Architecture, Descriptor, MediaType
from toolkit.plan import Action, Observed, decide, unasked
from toolkit.preview import Preview, preview
from toolkit.record import PublishedImage
from toolkit.render import RenderedUnit
from toolkit.support import in_texts

BOTH = (rendered(unit(AMD64)), rendered(unit(ARM64)))
IMAGE_ID = AMD64.removesuffix("-amd64")
UNTIL_NOBODY_KNOWS = Support(state=State.CURRENT)


def shown(
    *last: PublishedImage,
    units: Sequence[RenderedUnit] = BOTH,
    inputs: Mapping[str, Mapping[str, str]] | None = None,
    published: Sequence[str] = (),
    support: Support = UNTIL_NOBODY_KNOWS,
    unreachable: Mapping[str, tuple[str, ...]] | None = None,
) -> Preview:
    """What is seen on an amd64 machine; `published` are identifiers, `last` the newest record's images."""
    found = Descriptor(media_type=MediaType.DOCKER_MANIFEST, digest=digest(1), size=1)
    there = {
        (each.unit.repository, tags.build_tag(each.build_id)): found
        for each in units
        if each.unit.identifier in published
    }
    observed = Observed(descriptors={**unasked(units).descriptors, **there}, inputs=inputs or {})
    plan = decide(units, units, observed)
    supports = dict.fromkeys((each.unit.identifier for each in units), support)
    return preview(
        plan,
        record=record(*last) if last else None,
        assign=assign_here([Architecture.AMD64]),
        supports=supports,
        unreachable=unreachable or {},
    )


def text(seen: Preview, width: int | None = None) -> list[str]:
    return [click.unstyle(line) for line in plan_lines(seen, width)]


def test_what_the_last_build_took_stands_beside_what_is_to_be_done() -> None:
    last = image(ARM64, size=111_000_000, durations={"build": 60.0, "verify": 6.0, "publish": 12.0})
    assert text(shown(last)) == [
        "  do      on     built        size     took  why",
        IMAGE_ID,
        "  build   amd64  native          -        -  not published yet",
        "          note: carries CUDA libraries",
        "  build   arm64  native     111 MB  1.3 min  not published yet",
        "2 to build; 1 of 1 lists to publish; 1.3 min of work and 111 MB for the 1 that were built before, "
        "by their last builds",
    ]


def test_until_when_an_image_is_supported_stands_beside_its_name() -> None:
    support = Support(state=State.CURRENT, date=date(2028, 6, 30), source="https://debian.example")
    seen = shown(support=support)
    assert text(seen)[1] == f"{IMAGE_ID}  supported until 2028-06-30"
    assert seen.to_json()["units"][0]["support"] == in_texts(support)


@pytest.mark.parametrize("state", [State.LEGACY, State.ENDED])
def test_what_is_past_its_end_is_a_warning_below_the_image(state: State) -> None:
    reasons = ("Debian 11: end of life 2026-08-31", "Python 3.9: end of life 2025-10-31")
    support = Support(state=state, date=date(2025, 10, 31), reasons=reasons)
    lines = text(shown(support=support))
    assert lines[1] == f"{IMAGE_ID}  {state} since 2025-10-31"
    assert lines[2] == f"          warning: {reasons[0]}; {reasons[1]}"
    assert sum("warning" in line for line in lines) == 1
    assert max(map(len, text(shown(support=support), 60))) <= 60 + len("  legacy since 2025-10-31")


def test_a_place_that_does_not_answer_stands_below_the_unit_that_needs_it() -> None:
    told = "source pytorch-cpu: download.example cannot be reached: its name does not resolve"
    seen = shown(unreachable={ARM64: (told,)})
    lines = text(seen)
    assert lines[lines.index("  build   arm64  native          -        -  not published yet") + 1] == (
        f"          cannot be built now: {told}"
    )
    assert sum("cannot be built now: " in line for line in lines) == 1
    assert lines[-1] == "2 to build (1 of them cannot be built now); 1 of 1 lists to publish"
    assert [each["unreachable"] for each in seen.to_json()["units"]] == [[], [told]]


def test_what_was_never_built_has_no_numbers_and_no_totals() -> None:
    assert text(shown())[-1] == "2 to build; 1 of 1 lists to publish"


def test_totals_are_of_what_is_to_be_built_alone() -> None:
    last = [image(name, size=2_000_000_000, durations={"build": 3600.0}) for name in (AMD64, ARM64)]
    seen = shown(*last, published=[AMD64])
    assert seen.effort.seconds == 3600
    assert text(seen)[-1] == (
        "1 to build, 1 to retag; 1 of 1 lists to publish; 60.0 min of work and 2.0 GB, by their last builds"
    )


def test_a_template_that_runs_programs_of_the_target_is_emulated_elsewhere_only() -> None:
    runs = template("FROM {{ base }}\nRUN true\n")
    seen = shown(units=[rendered(unit(name), sources=runs) for name in (AMD64, ARM64)])
    assert [row.placement.emulated for row in seen.rows] == [False, True]
    assert [line.split()[2] for line in text(seen) if line.startswith("  build")] == ["native", "emulated"]


def test_a_unit_that_is_not_locked_says_why_below_it() -> None:
    waiting = replace(BOTH[1], unlocked="https://vendor.example does not answer")
    assert "          unlocked: https://vendor.example does not answer" in text(shown(units=[waiting]))


def test_a_terminal_is_never_exceeded() -> None:
    before = {**BOTH[0].inputs, **{f"download wheels/{number}.whl": "0" for number in range(30)}}
    waiting = replace(BOTH[0], unlocked="a long reason " * 20)
    seen = shown(image(AMD64), units=[waiting], inputs={AMD64: before})
    for width in (60, 80, 110):
        assert max(map(len, text(seen, width))) <= width
        (row,) = seen.rows
        lines = [click.unstyle(line) for line in explain_lines(row, "registry.example/x:y", width)][2:-1]
        assert max(map(len, lines)) <= width
    assert any(line.endswith("…") for line in text(seen, 80))
    assert "".join(text(seen, 80)).count("long reason") == 20


def test_lines_that_no_terminal_shows_are_whole() -> None:
    before = {**BOTH[0].inputs, **{f"download wheels/{number}.whl": "0" for number in range(30)}}
    (line,) = (line for line in text(shown(inputs={AMD64: before})) if "changed" in line)
    assert line.count("download wheels/") == 30


def test_durations_read_as_people_say_them() -> None:
    assert [duration_text(each) for each in (0.4, 38, 59.4, 59.6, 156, 6120)] == [
        "0 s", "38 s", "59 s", "1.0 min", "2.6 min", "1.7 h",
    ]  # fmt: skip


def test_an_explanation_has_a_star_at_what_differs_and_what_it_was() -> None:
    before = {**BOTH[1].inputs, "base": "sha256:" + "9" * 64}
    (row,) = shown(units=BOTH[1:], inputs={ARM64: before}).rows
    lines = [click.unstyle(line) for line in explain_lines(row, "registry.example/x:y", None)]
    assert lines[0] == f"{ARM64}: build, changed: base"
    assert lines[1] == f"build id {BOTH[1].build_id}, tag {tags.build_tag(BOTH[1].build_id)}"
    assert [line for line in lines if line.startswith("*")] == [
        f"* base                      {BOTH[1].base.digest[:19]}… (was sha256:999999999999…)"
        "  images.lock: base debian11, arm64 (debian:bullseye)"
    ]
    assert lines[-1] == "1 of 10 inputs differ (*) from what is published as registry.example/x:y"


def test_as_json_everything_is_told() -> None:
    before = {**BOTH[1].inputs, "base": "sha256:old"}
    seen = shown(image(ARM64), inputs={ARM64: before}, published=[AMD64])
    told = json.loads(json.dumps(seen.to_json()))
    assert told["schema_version"] == 1
    first, second = told["units"]
    assert (first["identifier"], first["image_id"], first["architecture"]) == (AMD64, IMAGE_ID, "amd64")
    assert (first["action"], first["why"]) == (Action.RETAG, "published, but there is no list yet")
    assert (first["digest"], first["build_id"]) == (digest(1), BOTH[0].build_id)
    assert (first["repository"], first["tag"]) == ("pytorch-inference", BOTH[0].unit.arch_tag)
    assert (first["last"], first["remark"], first["emulated"]) == (None, "carries CUDA libraries", False)
    assert second["last"]["size"] == 250_000_000
    assert second["last"]["durations"] == {"build": 18.5}
    assert {each["name"]: each["before"] for each in second["inputs"] if each["changed"]} == {
        "base": "sha256:old"
    }
    assert told["lists"] == [
        {
            "repository": "pytorch-inference",
            "tag": BOTH[0].unit.list_tag,
            "complete": False,
            "platforms": ["linux/amd64", "linux/arm64"],
            "digest": None,
        }
    ]
    assert told["totals"] == {
        "build": 1,
        "reuse": 0,
        "retag": 1,
        "blocked": 0,
        "lists": 1,
        "lists_to_publish": 1,
        "built_before": 1,
        "seconds": 18.5,
        "size": 250_000_000,
    }
