"""One unit from its Dockerfile to a verified layout."""

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.images import OCI, FakeImage, listed, single
from tests.projects import AMD64, ARM64, rendered, unit
from tests.releases import BOTH, FixedBuilder, House, honest
from toolkit.adapters.layout import OciLayout
from toolkit.build import BuildRequest, OnStage
from toolkit.errors import BuildFailed, ExitCode, NeedNotMet, VerificationFailed
from toolkit.progress import Event, Kind
from toolkit.render import RenderedUnit
from toolkit.workshop import UNFINISHED, Tools, Watch, build_only, check, make

ARM = rendered(unit(ARM64))
AMD = rendered(unit(AMD64))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def watching(events: list[Event]) -> Watch:
    return Watch(ARM64, report=events.append, number=1, total=2)


class Remembering(FixedBuilder):
    """Keeps the requests it got."""

    def build(self, request: BuildRequest, *, on_stage: OnStage) -> None:
        self.request = request
        super().build(request, on_stage=on_stage)


def test_a_builder_is_told_all_that_a_build_takes(house: House) -> None:
    builder = Remembering()
    house.builder = builder
    shop = replace(
        house.workshop,
        base_layout=lambda unit: f"base of {unit.base.name}",
        revision="abc",
        source="url",
        cold=True,
    )
    make(ARM, shop, watching([]))
    assert builder.request == BuildRequest(
        rendered=ARM,
        base_layout="base of debian11",
        layout=house.directory / "layouts" / f"{UNFINISHED}{os.getpid()}-{ARM64}",
        log=house.directory / "logs" / f"{ARM64}.log",
        revision="abc",
        source="url",
        cold=True,
    )


def test_a_stage_is_told_once_however_often_the_builder_says_it(house: House) -> None:
    class Chatty(FixedBuilder):
        def build(self, request: BuildRequest, *, on_stage: OnStage) -> None:
            for stage in ("RUN a", "RUN b", "RUN a", "RUN b"):
                on_stage(stage)
            super().build(request, on_stage=on_stage)

    house.builder = Chatty()
    events: list[Event] = []
    make(ARM, house.workshop, watching(events))
    assert [event.text for event in events if event.text.startswith("RUN")] == ["RUN a", "RUN b"]


def test_what_is_made_is_verified_and_lies_in_its_layout(house: House) -> None:
    watch = watching([])
    made = make(ARM, house.workshop, watch)
    assert made.layout == house.directory / "layouts" / ARM64
    assert OciLayout.open(made.layout).get_manifest("") == made.manifest
    assert made.verification.ok
    assert made.verification.digest == made.manifest.digest
    assert set(watch.durations) == {"build", "verify"}


def test_a_lie_names_the_unit_the_files_and_how_to_look_at_it(house: House) -> None:
    house.builder.images[ARM64] = honest(ARM, elf="amd64")
    with pytest.raises(VerificationFailed) as caught:
        make(ARM, house.workshop, watching([]))
    assert caught.value.message.startswith(f"{ARM64}: 1 of 2 ELF files is amd64: /usr/lib/libtorch.so")
    assert f"toolkit verify {house.directory}/layouts/{ARM64} --consumer sagemaker" in caught.value.remedy


def test_an_image_of_a_registry_is_looked_at_by_its_digest(house: House) -> None:
    house.builder.images[ARM64] = honest(ARM, elf="amd64")
    image = honest(ARM, elf="amd64")
    source = single(house.directory / "lie", image)
    digest = source.get_manifest("").digest
    with pytest.raises(VerificationFailed) as caught:
        check(source, ARM, house.workshop, watching([]), selector=digest)
    assert f"@{digest} --consumer sagemaker" in caught.value.remedy


def test_an_attestation_beside_the_image_is_refused(house: House) -> None:
    source = listed(house.directory / "listed", {ARM.unit.platform: honest(ARM)}, attestations=1)
    with pytest.raises(
        VerificationFailed, match=f"{ARM64}: an index stands in .* where one image was expected"
    ):
        check(source, ARM, house.workshop, watching([]))


def test_another_family_of_media_types_is_refused(house: House) -> None:
    source = single(house.directory / "oci", replace(honest(ARM), types=OCI))
    with pytest.raises(VerificationFailed, match="sagemaker does not take"):
        check(source, ARM, house.workshop, watching([]))


def test_an_image_for_another_platform_is_refused(house: House) -> None:
    source = single(house.directory / "amd", honest(AMD))
    with pytest.raises(VerificationFailed, match="label=linux/amd64, but linux/arm64 was asked for"):
        check(source, ARM, house.workshop, watching([]))


def test_a_full_disk_names_the_unit_the_file_and_what_frees_some(house: House) -> None:
    house.builder.trouble[ARM64] = OSError(28, "No space left on device", "/x/layouts")
    with pytest.raises(NeedNotMet) as caught:
        make(ARM, house.workshop, watching([]))
    assert caught.value.message == f"{ARM64}: No space left on device: /x/layouts"
    assert "make clean" in caught.value.remedy


@pytest.mark.parametrize(
    ("each", "run", "expected"),
    [(ARM, "", False), (ARM, "RUN true\n", True), (AMD, "RUN true\n", False)],
    ids=["arm64 without a RUN", "arm64 with a RUN", "the machine's own"],
)
def test_only_a_run_on_a_foreign_platform_is_emulated(
    house: House, each: RenderedUnit, run: str, expected: bool
) -> None:
    assert house.workshop.emulates(replace(each, dockerfile=each.dockerfile + run)) is expected


def test_building_alone_leaves_verified_layouts_and_asks_no_registry(house: House) -> None:
    events: list[Event] = []
    failures = build_only([AMD, ARM], workshop=house.workshop, jobs=2, report=events.append)
    assert failures == {}
    assert {path.name for path in (house.directory / "layouts").iterdir()} == {*BOTH}
    assert house.registry.requests == []
    finished = {event.subject: event.text for event in events if event.kind is Kind.FINISHED}
    assert finished.keys() == {*BOTH}
    assert f"layouts/{ARM64}" in finished[ARM64]


def test_building_alone_goes_on_after_a_failure(house: House) -> None:
    house.builder.trouble[AMD64] = BuildFailed("no")
    events: list[Event] = []
    failures = build_only([AMD, ARM], workshop=house.workshop, jobs=1, report=events.append)
    assert {name: error.exit_code for name, error in failures.items()} == {AMD64: ExitCode.BUILD_FAILED}
    assert house.builder.built == [AMD64, ARM64]
    assert [(event.subject, event.text) for event in events if event.kind is Kind.FAILED] == [(AMD64, "no")]


def test_building_alone_begins_no_unit_after_an_interrupt(house: House) -> None:
    told = threading.Event()
    house.builder.trouble[AMD64] = KeyboardInterrupt()
    house.builder.during = lambda identifier: hold(told) if identifier == ARM64 else None
    with pytest.raises(KeyboardInterrupt):
        build_only([AMD, *[ARM] * 5], workshop=house.workshop, jobs=1, report=lambda event: None)
    assert len(house.builder.built) <= 2
    told.set()


def hold(until: threading.Event) -> None:
    until.wait(10)


def test_nothing_to_build_needs_no_tools(house: House) -> None:
    def no_engine() -> Tools:
        raise NeedNotMet("there is no engine")

    idle = replace(house.workshop, tools=no_engine)
    assert build_only([], workshop=idle, jobs=1, report=lambda event: None) == {}


def test_a_watch_times_steps_even_when_they_fail() -> None:
    watch = watching([])
    with pytest.raises(BuildFailed), watch.timed("build"):
        raise BuildFailed("no")
    assert watch.durations["build"] >= 0


def test_a_watch_tells_which_of_how_many() -> None:
    events: list[Event] = []
    watching(events).tell(Kind.STAGE, "exporting")
    (event,) = events
    assert (event.kind, event.subject, event.text) == (Kind.STAGE, ARM64, "exporting")
    assert (event.number, event.total) == (1, 2)
    assert event.elapsed >= 0


def test_an_image_that_needs_no_interpreter_is_fine_too(house: House) -> None:
    made = honest(ARM)
    house.builder.images[ARM64] = FakeImage(
        layers=made.layers, platform=made.platform, entrypoint=["/usr/bin/python3"], types=made.types
    )
    assert make(ARM, house.workshop, watching([])).verification.entrypoint == ("/usr/bin/python3",)
