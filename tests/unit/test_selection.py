"""Choosing among units: names, globs, groups, and the axes that units differ in."""

import time

import click
import pytest
from click.testing import CliRunner

from tests.projects import CATALOG, PYTORCH, catalog
from tests.unit.test_units import EKS_ID, EVERY, PYTORCH_ID, SAGEMAKER_ID
from toolkit.cli.selecting import selection_options
from toolkit.errors import ExitCode, NothingSelected
from toolkit.selection import AXES, Selection, select
from toolkit.units import expand

MXNET = (
    PYTORCH.replace("pytorch", "mxnet")
    .replace("1.12.1", "1.9.1")
    .replace(
        "remarks.amd64",
        'exclude = [{ architecture = "arm64", reason = "no wheel for arm64" }]\nremarks.amd64',
    )
)


def chosen(*patterns: str, text: str = CATALOG, **wanted: str) -> list[str]:
    """`wanted` has the values of an axis with blanks between them."""
    read = catalog(text)
    selection = Selection(
        patterns=patterns, wanted={axis: tuple(values.split()) for axis, values in wanted.items()}
    )
    return [each.identifier for each in select(expand(read), selection, read)]


def test_no_pattern_takes_the_default_group() -> None:
    assert chosen() == [each for each in EVERY if "-eks-" not in each]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ([f"{PYTORCH_ID}-arm64"], [f"{PYTORCH_ID}-arm64"]),
        ([PYTORCH_ID], [f"{PYTORCH_ID}-amd64", f"{PYTORCH_ID}-arm64"]),
        (["pytorch-*-arm64"], [f"{PYTORCH_ID}-arm64"]),
        (["*-eks"], [f"{EKS_ID}-amd64", f"{EKS_ID}-arm64"]),
        (["arm"], [each for each in EVERY if each.endswith("-arm64")]),
        (["*"], EVERY),
        ([f"{EKS_ID}-arm64", "pytorch-*-arm64"], [f"{PYTORCH_ID}-arm64", f"{EKS_ID}-arm64"]),
        ([PYTORCH_ID, "pytorch-*"], [f"{PYTORCH_ID}-amd64", f"{PYTORCH_ID}-arm64"]),
        (["*", "!*-arm64", f"!{EKS_ID}"], [f"{PYTORCH_ID}-amd64", f"{SAGEMAKER_ID}-amd64"]),
        (["!arm", "*"], [each for each in EVERY if each.endswith("-amd64")]),
        (["!pytorch-*"], [f"{SAGEMAKER_ID}-amd64", f"{SAGEMAKER_ID}-arm64"]),
    ],
    ids=["identifier", "image id", "glob", "glob of image ids", "group", "all", "several", "overlapping",
         "all but two globs", "all but a group", "the default group but a glob"],
)  # fmt: skip
def test_patterns_choose_units_in_the_order_of_the_plan(patterns: list[str], expected: list[str]) -> None:
    assert chosen(*patterns) == expected


def test_a_group_may_leave_out_too_and_be_left_out_as_it_is() -> None:
    text = CATALOG.replace('arm = ["*-arm64"]', 'arm = ["*-arm64", "!*-eks-*"]')
    assert chosen("arm", text=text) == [f"{PYTORCH_ID}-arm64", f"{SAGEMAKER_ID}-arm64"]
    assert chosen("*", "!arm", text=text) == [
        each for each in EVERY if each.endswith("-amd64") or "-eks-" in each
    ]


def test_what_leaves_out_narrows_what_options_choose() -> None:
    assert chosen("!*-eks-*", framework="tensorflow", architecture="arm64") == [f"{SAGEMAKER_ID}-arm64"]


def test_leaving_out_what_is_not_there_is_a_typo() -> None:
    with pytest.raises(NothingSelected, match="'mxnet-\\*'"):
        chosen("*", "!mxnet-*")


def test_leaving_out_everything_leaves_nothing() -> None:
    with pytest.raises(NothingSelected, match=r"left by '\*' '!\*'"):
        chosen("*", "!*")


def test_a_typo_names_the_nearest_identifier() -> None:
    with pytest.raises(NothingSelected) as caught:
        chosen("pytorch-1.12.1-cpu-py39-debian11-sagemaker-amr64")
    assert "'pytorch-1.12.1-cpu-py39-debian11-sagemaker-amr64'" in caught.value.message
    assert f"Did you mean '{PYTORCH_ID}-arm64'?" in caught.value.remedy
    assert caught.value.exit_code is ExitCode.NOTHING_SELECTED


@pytest.mark.parametrize(
    ("typo", "meant"), [("ram", "arm"), ("defualt", "default"), (PYTORCH_ID[:-1], PYTORCH_ID)]
)
def test_a_misspelt_group_or_image_id_is_suggested_too(typo: str, meant: str) -> None:
    with pytest.raises(NothingSelected) as caught:
        chosen(typo)
    assert f"Did you mean '{meant}'?" in caught.value.remedy


def test_one_pattern_without_units_is_an_error_even_when_others_have_some() -> None:
    with pytest.raises(NothingSelected, match=r"'mxnet-\*'"):
        chosen("pytorch-*", "mxnet-*")


def test_a_glob_with_a_typo_names_the_unit_that_shares_most_with_it() -> None:
    with pytest.raises(NothingSelected) as caught:
        chosen("pytorch-*-arm46")
    assert f"Did you mean '{PYTORCH_ID}" in caught.value.remedy


def test_what_resembles_nothing_is_told_how_to_see_all_units() -> None:
    with pytest.raises(NothingSelected) as caught:
        chosen("?")
    assert "toolkit plan '*'" in caught.value.remedy


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"architecture": "arm64"}, [each for each in EVERY if each.endswith("-arm64")]),
        ({"consumer": "eks"}, [f"{EKS_ID}-amd64", f"{EKS_ID}-arm64"]),
        (
            {"framework": "tensorflow", "consumer": "sagemaker"},
            [f"{SAGEMAKER_ID}-amd64", f"{SAGEMAKER_ID}-arm64"],
        ),
        ({"framework": "tensorflow pytorch"}, EVERY),
        ({"version": "2.*", "architecture": "amd64"}, [f"{EKS_ID}-amd64", f"{SAGEMAKER_ID}-amd64"]),
        ({"accelerator": "cpu"}, EVERY),
    ],
    ids=[
        "one axis",
        "outside of default",
        "two axes narrow",
        "values of one axis add",
        "glob",
        "accelerator",
    ],
)
def test_values_of_axes_choose_among_all_units(wanted: dict[str, str], expected: list[str]) -> None:
    assert chosen(**wanted) == expected


def test_axes_narrow_what_patterns_choose() -> None:
    assert chosen("pytorch-*", architecture="arm64") == [f"{PYTORCH_ID}-arm64"]
    assert chosen("default", consumer="sagemaker", framework="pytorch", architecture="amd64") == [
        f"{PYTORCH_ID}-amd64"
    ]


@pytest.mark.parametrize(
    ("axis", "typo", "remedy"),
    [
        ("framework", "tensorfow", "Did you mean 'tensorflow'? There are: pytorch, tensorflow."),
        ("architecture", "ARM64", "Did you mean 'arm64'? There are: amd64, arm64."),
        ("consumer", "sagemkaer", "Did you mean 'sagemaker'? There are: eks, sagemaker."),
        ("version", "9.9", "There are: 1.12.1, 2.9.1."),
        ("accelerator", "neuron", "There are: cpu."),
    ],
)
def test_a_value_that_no_unit_has_is_an_error_with_the_values_there_are(
    axis: str, typo: str, remedy: str
) -> None:
    with pytest.raises(NothingSelected) as caught:
        chosen("*", **{axis: f"* {typo}"})
    assert caught.value.message == f"no build unit has the {axis} {typo!r}"
    assert caught.value.remedy == remedy


def test_axes_that_no_unit_has_together_are_an_error_as_one_would_type_them() -> None:
    with pytest.raises(NothingSelected) as caught:
        chosen("pytorch-*", consumer="eks")
    assert caught.value.message == "no build unit is all of 'pytorch-*' --consumer eks"


@pytest.mark.parametrize(
    ("patterns", "wanted"),
    [
        (["mxnet-*-arm64"], {}),
        ([], {"framework": "mxnet", "architecture": "arm64"}),
        (["mxnet-*"], {"architecture": "arm64"}),
    ],
)
def test_who_asks_for_what_is_excluded_is_told_the_reason(
    patterns: list[str], wanted: dict[str, str]
) -> None:
    with pytest.raises(NothingSelected) as caught:
        chosen(*patterns, text=CATALOG + MXNET, **wanted)
    line = (CATALOG + MXNET).splitlines().index("[images.mxnet-inference]") + 1
    assert caught.value.remedy == f"images.toml:{line} leaves it out: no wheel for arm64"


def test_everything_is_meant_only_where_nothing_was_asked_for() -> None:
    assert Selection().or_everything == Selection(patterns=("*",))
    asked = Selection(wanted={"framework": ("pytorch",)})
    assert asked.or_everything == asked


def test_a_thousand_names_are_found_and_one_typo_among_them_told_in_a_moment() -> None:
    versions = ", ".join(f'"1.{n}"' for n in range(1000))
    text = CATALOG.replace('versions = ["1.12.1"]', f"versions = [{versions}]")
    names = [f"pytorch-1.{n}-cpu-py39-debian11-sagemaker-arm64" for n in range(1000)]
    read = catalog(text)
    units = expand(read)
    started = time.perf_counter()
    assert len(select(units, Selection(patterns=tuple(names)), read)) == 1000
    typo = names[500].replace("pytorch", "pytroch")
    with pytest.raises(NothingSelected) as caught:
        select(units, Selection(patterns=(*names, typo)), read)
    assert f"Did you mean {names[500]!r}?" in caught.value.remedy
    assert time.perf_counter() - started < 2


def test_the_options_of_commands_are_the_axes() -> None:
    seen: list[Selection] = []

    @click.command()
    @selection_options
    def command(selection: Selection) -> None:
        seen.append(selection)

    arguments = ["a", "b", "--framework", "pytorch", "--framework", "mxnet", "--architecture", "arm64"]
    assert CliRunner().invoke(command, arguments).exit_code == 0
    wanted = {"framework": ("pytorch", "mxnet"), "architecture": ("arm64",)}
    assert seen == [Selection(patterns=("a", "b"), wanted=wanted)]
    options = {option for each in command.params if isinstance(each, click.Option) for option in each.opts}
    assert options == {f"--{axis}" for axis in AXES}
