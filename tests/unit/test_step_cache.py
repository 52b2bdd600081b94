"""A registry's cache of steps: its words in Buildx's log, and that it never fails what it could help."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.projects import ARM64, rendered, unit
from toolkit.adapters.buildx import exporter
from toolkit.adapters.step_cache import (
    CachingBuilder,
    StepCache,
    cache_target,
    may_have_harmed,
    trouble_of,
    waits_for_cache,
)
from toolkit.build import BuildRequest, OnStage
from toolkit.errors import BuildFailed, NeedNotMet, ToolkitError
from toolkit.tags import cache_tag, is_tag

REPOSITORY = "registry.example/steps"
REFERENCE = f"{REPOSITORY}:{ARM64}"

# Lines of Buildx 0.13's plain progress.
READ = f"#4 importing cache manifest from {REFERENCE}\n#4 DONE 0.1s\n"
ABSENT = (
    f"#4 importing cache manifest from {REFERENCE}\n"
    f"#4 ERROR: failed to configure registry cache importer: {REFERENCE}: not found\n"
)
UNREADABLE = (
    f"#4 importing cache manifest from {REFERENCE}\n#4 ERROR: failed to configure registry cache importer: "
    'failed to do request: Head "https://registry.example/v2/steps/manifests/x": connection refused\n'
)
WRITTEN = "#9 exporting cache to registry\n#9 DONE 1.9s\n"
UNWRITABLE = (
    "#9 exporting cache to registry\n#9 preparing build cache for export\n"
    "#9 ERROR: error writing layer blob: name unknown: The repository 'steps' does not exist\n"
)
LAYER_GONE = (
    "#8 exporting to oci image format\n#8 ERROR: failed to copy: httpReadSeeker: failed open: could not "
    "fetch content descriptor sha256:00 from remote: not found\n"
)
PROGRAM = '#6 ERROR: process "/bin/sh -c false" did not complete successfully: exit code: 1\n'


@dataclass
class Inner:
    """Writes one log after the other, and fails as often as there are errors."""

    logs: list[str]
    errors: list[ToolkitError | None] = field(default_factory=lambda: [None, None])
    seen: list[str] = field(default_factory=list)

    def build(self, request: BuildRequest, *, on_stage: OnStage) -> None:
        self.seen.append(request.step_cache)
        request.log.write_text(self.logs.pop(0))
        if error := self.errors.pop(0):
            raise error


def request(tmp_path: Path) -> BuildRequest:
    return BuildRequest(
        rendered=rendered(unit()),
        base_layout=None,
        layout=tmp_path / "layout",
        log=tmp_path / "log",
        revision="",
        source="",
    )


def built(tmp_path: Path, inner: Inner, times: int = 1) -> list[str]:
    """The warnings of so many builds."""
    warnings: list[str] = []
    builder = CachingBuilder(inner=inner, cache=StepCache(repository=REPOSITORY, warn=warnings.append))
    for _ in range(times):
        builder.build(request(tmp_path), on_stage=lambda _: None)
    return warnings


@pytest.mark.parametrize("log", [READ + WRITTEN, ABSENT + WRITTEN])
def test_a_cache_that_is_there_or_not_yet_is_taken_without_a_word(log: str, tmp_path: Path) -> None:
    inner = Inner(logs=[log, log])
    assert built(tmp_path, inner, times=2) == []
    assert inner.seen == [REFERENCE, REFERENCE]


@pytest.mark.parametrize("log", [UNREADABLE + WRITTEN, READ + UNWRITABLE])
def test_trouble_is_told_once_and_the_next_unit_is_built_without(log: str, tmp_path: Path) -> None:
    inner = Inner(logs=[log, ""])
    (warning,) = built(tmp_path, inner, times=2)
    assert warning.startswith(f"the build cache {REPOSITORY} is left alone from here on: ")
    assert ("toolkit ecr ensure" in warning) == ("name unknown" in log)
    assert inner.seen == [REFERENCE, ""]


def test_a_layer_that_is_gone_from_the_cache_is_built_again(tmp_path: Path) -> None:
    inner = Inner(logs=[READ + LAYER_GONE, ""], errors=[BuildFailed("x failed to build: not found"), None])
    (warning,) = built(tmp_path, inner)
    assert "x failed to build: not found" in warning
    assert inner.seen == [REFERENCE, ""]


@pytest.mark.parametrize("log", [READ + PROGRAM, ABSENT + LAYER_GONE, UNREADABLE + LAYER_GONE, LAYER_GONE])
def test_what_the_cache_cannot_have_caused_fails_at_once(log: str, tmp_path: Path) -> None:
    inner = Inner(logs=[log], errors=[BuildFailed("a step of its own")])
    with pytest.raises(BuildFailed, match="a step of its own"):
        built(tmp_path, inner)
    assert len(inner.seen) == 1


def test_what_fails_without_the_cache_too_blames_nobody_else(tmp_path: Path) -> None:
    gone = BuildFailed("the base is not there")
    inner = Inner(logs=[READ + LAYER_GONE, ""], errors=[gone, gone])
    warnings: list[str] = []
    builder = CachingBuilder(inner=inner, cache=StepCache(repository=REPOSITORY, warn=warnings.append))
    with pytest.raises(BuildFailed, match="the base is not there"):
        builder.build(request(tmp_path), on_stage=lambda _: None)
    assert warnings == []


def test_an_engine_that_is_gone_is_not_asked_again(tmp_path: Path) -> None:
    inner = Inner(logs=[READ], errors=[NeedNotMet("no engine")])
    with pytest.raises(NeedNotMet):
        built(tmp_path, inner)
    assert inner.seen == [REFERENCE]


def test_who_is_refused_is_told_what_whoever_releases_must_be_allowed() -> None:
    warnings: list[str] = []
    cache = StepCache(repository=REPOSITORY, warn=warnings.append)
    cache.leave("pull access denied, repository does not exist or may require authorization")
    cache.leave("something else")
    (warning,) = warnings
    assert "toolkit ecr policy" in warning and "toolkit ecr ensure" not in warning
    assert cache.reference(unit()) == ""


def test_a_build_waits_for_the_cache_while_a_step_about_it_is_open() -> None:
    importing = READ.splitlines()
    assert waits_for_cache(importing[:1]) and not waits_for_cache(importing)
    exporting = [*importing, *UNWRITABLE.splitlines()]
    assert waits_for_cache(exporting[:-1]) and not waits_for_cache(exporting)
    assert not waits_for_cache(["#5 [1/2] RUN sleep 1000"])


def test_errors_of_other_steps_are_no_trouble_of_the_cache() -> None:
    assert trouble_of((READ + LAYER_GONE + WRITTEN).splitlines()) == ""
    assert not may_have_harmed([])


def test_a_cache_is_written_as_ecr_takes_it_and_its_errors_fail_no_build() -> None:
    options = cache_target(REFERENCE)
    assert {"mode": "max", "image-manifest": "true", "oci-mediatypes": "true"}.items() <= options.items()
    assert options["ignore-error"] == "true"


def test_a_cache_has_the_compression_of_the_export_so_that_each_layer_is_made_once(tmp_path: Path) -> None:
    exported, cached = exporter(tmp_path), cache_target(REFERENCE)
    for option in ("compression", "compression-level", "force-compression"):
        assert exported[option] == cached[option]


def test_each_unit_has_a_tag_of_its_own_however_long_its_name_is() -> None:
    assert cache_tag(ARM64) == ARM64
    long = [f"{'framework-' * 14}{arch}" for arch in ("amd64", "arm64")]
    tags = [cache_tag(each) for each in long]
    assert all(map(is_tag, tags)) and len(set(tags)) == 2
