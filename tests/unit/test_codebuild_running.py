"""Batches that are started and followed: what fails, what goes on, what is told."""

from collections.abc import Iterable, Mapping

import pytest

from toolkit.codebuild.batch import Batch
from toolkit.codebuild.buildspec import Build
from toolkit.codebuild.running import Run, run
from toolkit.errors import BuildFailed
from toolkit.progress import Event, Kind


def build(identifier: str, images: str, waits_for: tuple[str, ...] = ()) -> Build:
    return Build(
        identifier=identifier,
        buildspec="build.yml",
        type="ARM_CONTAINER",
        compute_type="BUILD_GENERAL1_SMALL",
        privileged=True,
        variables={"IMAGES": images},
        depend_on=waits_for,
    )


def batch(unit: str) -> Batch:
    return Batch(units=(build(unit, f"{unit}-arm64"),), publish=build("publish", unit, (unit,)))


class Service:
    """Answers each question with the next of the states that were given for a batch; time is its pauses."""

    def __init__(self, *scripts: Iterable[Mapping[str, str]]) -> None:
        self.scripts = [iter(script) for script in scripts]
        self.texts: list[str] = []
        self.now = 0.0

    def start(self, text: str) -> Run:
        self.texts.append(text)
        return Run(name=f"batch:{len(self.texts)}", state="IN_PROGRESS")

    def get_run(self, name: str) -> Run:
        states = dict(next(self.scripts[int(name.partition(":")[2]) - 1]))
        return Run(
            name=name,
            state=states.pop("state"),
            reason=states.pop("reason", ""),
            builds=tuple(states.items()),
        )

    def pause(self, seconds: float) -> None:
        self.now += seconds


def follow(service: Service, *batches: Batch, patience: float = 3600) -> list[Event]:
    told: list[Event] = []
    run(batches, service, told.append, patience=patience, clock=lambda: service.now)
    return told


BEGUN = {"state": "IN_PROGRESS", "one": "IN_PROGRESS", "publish": ""}
DONE = {"state": "SUCCEEDED", "one": "SUCCEEDED", "publish": "SUCCEEDED"}
OTHER = {"state": "SUCCEEDED", "two": "SUCCEEDED", "publish": "SUCCEEDED"}


def test_each_build_is_told_by_its_image_once_when_its_state_changes() -> None:
    told = follow(Service([BEGUN, BEGUN, BEGUN | {"one": "SUCCEEDED"}, DONE]), batch("one"))
    assert [(each.kind, each.subject, each.text) for each in told] == [
        (Kind.STARTED, "batch:1", "started: 1 units and their lists"),
        (Kind.STAGE, "one-arm64", "IN_PROGRESS"),
        (Kind.FINISHED, "one-arm64", "SUCCEEDED"),
        (Kind.FINISHED, "publish", "SUCCEEDED"),
        (Kind.FINISHED, "batch:1", ""),
    ]
    assert told[-1].elapsed == 80


def test_the_second_batch_is_started_when_the_first_has_ended() -> None:
    service = Service([BEGUN, DONE], [OTHER])
    told = follow(service, batch("one"), batch("two"))
    assert service.texts == [batch("one").text, batch("two").text]
    assert [each.subject for each in told if each.subject.startswith("batch")] == ["batch:1"] * 2 + [
        "batch:2"
    ] * 2


def test_a_batch_that_fails_does_not_keep_the_next_from_its_lists() -> None:
    failed = {"state": "FAILED", "reason": "publish failed", "one": "FAILED", "publish": "FAILED"}
    service = Service([failed], [OTHER])
    with pytest.raises(BuildFailed) as caught:
        follow(service, batch("one"), batch("two"))
    assert len(service.texts) == 2
    assert caught.value.message == (
        "1 of 2 batches failed:\n  batch:1: FAILED (publish failed), one FAILED, publish FAILED"
    )
    assert "what was built is not built again" in caught.value.remedy


def test_a_batch_without_its_publishing_is_no_success() -> None:
    skipped = {"state": "SUCCEEDED", "one": "FAILED", "publish": ""}
    with pytest.raises(BuildFailed, match="one FAILED, publish was not begun"):
        follow(Service([skipped]), batch("one"))


def test_a_unit_whose_failure_is_ignored_is_one_that_publishing_found_elsewhere() -> None:
    told = follow(Service([DONE | {"one": "FAILED"}]), batch("one"))
    assert [each.kind for each in told] == [Kind.STARTED, Kind.FAILED, Kind.FINISHED, Kind.FINISHED]


def test_the_next_batch_does_not_run_beside_one_that_has_not_ended() -> None:
    service = Service([BEGUN] * 100, [OTHER])
    with pytest.raises(BuildFailed, match="batch batch:1 has not ended after 60 s; it goes on"):
        follow(service, batch("one"), batch("two"), patience=60)
    assert len(service.texts) == 1
