"""The resolver against the installed SageMaker SDK: the same URI wherever the SDK's runs there."""

import json
import subprocess
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from tests.differential.cases import Case, cases
from tests.projects import ROOT
from toolkit.oci import Architecture
from toolkit.resolve import retrieve
from toolkit.resolve.machine import get_machine
from toolkit.resolve.tables import second


@dataclass(frozen=True, kw_only=True)
class Compared:
    case: Case
    sdk: dict[str, Any]
    ours: str | Exception

    @property
    def architecture(self) -> Architecture | None:
        name = self.case["instance_type"]
        family = get_machine(name).family if name else None
        return family.architecture if family else None

    @property
    def sdk_runs(self) -> bool:
        """Whether the SDK's image has the machine's architecture and is for what was asked."""
        if self.architecture is None:
            return True
        asked = self.case["image_scope"] in (None, "inference", "inference_graviton")
        return is_arm64(self.sdk["uri"]) is (self.architecture is Architecture.ARM64) and (
            asked or not is_arm64(self.sdk["uri"])
        )


def is_arm64(uri: str) -> bool:
    return "graviton" in uri or "arm64" in uri


def ours(case: Case) -> str | Exception:
    try:
        return retrieve(**case)
    except (ValueError, FileNotFoundError) as error:
        return error


@pytest.fixture(scope="module")
def compared() -> tuple[Compared, ...]:
    subprocess.run(["scripts/venv.sh", ".venv-sdk", "locks/sdk.txt"], cwd=ROOT, check=True)
    asked = tuple({json.dumps(case): case for case in cases()}.values())
    run = subprocess.run(
        [".venv-sdk/bin/python", "tests/differential/oracle.py"],
        cwd=ROOT,
        check=True,
        input="".join(json.dumps(case) + "\n" for case in asked),
        capture_output=True,
        text=True,
    )
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    return tuple(
        Compared(case=case, sdk=sdk, ours=ours(case)) for case, sdk in zip(asked, answers, strict=True)
    )


def test_the_uri_is_the_sdks_to_the_letter_wherever_the_sdks_runs(compared: tuple[Compared, ...]) -> None:
    same = [each for each in compared if "uri" in each.sdk and each.sdk_runs]
    assert len(same) > 10_000
    assert [each for each in same if each.ours != each.sdk["uri"]][:3] == []


def test_where_the_sdks_does_not_run_the_answer_has_the_architecture_of_the_machine_or_is_an_error(
    compared: tuple[Compared, ...],
) -> None:
    wrong = [each for each in compared if "uri" in each.sdk and not each.sdk_runs]
    assert len(wrong) > 1_000
    kinds = Counter(type(each.ours).__name__ for each in wrong)
    assert set(kinds) == {"str", "ArchitectureUnavailable"}, kinds


def test_no_answer_has_another_architecture_than_the_machine(compared: tuple[Compared, ...]) -> None:
    for each in compared:
        if isinstance(each.ours, str) and each.architecture is not None:
            assert is_arm64(each.ours) is (each.architecture is Architecture.ARM64), each


def test_what_the_sdk_refuses_for_its_common_machines_is_answered_only_by_tables_it_does_not_have(
    compared: tuple[Compared, ...],
) -> None:
    for each in compared:
        if "error" not in each.sdk or not isinstance(each.ours, str) or not each.case["instance_type"]:
            continue
        machine = get_machine(each.case["instance_type"])
        if machine.is_common:
            repository, _, tag = each.ours.partition("/")[2].partition(":")
            assert not in_second_generation(repository, tag, each.case), each


def in_second_generation(repository: str, tag: str, case: Case) -> bool:
    """Whether SDK 2.x has this very image for the scope that was asked for."""
    config = second().frameworks.get(case["framework"], {})
    scoped = config if "scope" in config else config.get(case["image_scope"], {})
    image = scoped.get("versions", {}).get(tag.partition("-")[0], {})
    return image.get("repository") == repository and case["region"] in image.get("registries", ())
