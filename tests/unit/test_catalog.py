"""The catalog parser: good catalogs to their values, broken ones to all of their faults."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import tomli

from toolkit.catalog import (
    Accelerator,
    Base,
    Consumer,
    Drop,
    Exclusion,
    ForeignElf,
    Image,
    Recipe,
    parse_catalog,
    parse_catalog_bytes,
)
from toolkit.errors import CatalogInvalid, ExitCode
from toolkit.oci import Architecture, Reference

ROOT = Path(__file__).parents[2]
TEMPLATES = ("inference.Dockerfile.j2",)

GOOD = """\
[groups]
default = ["pytorch-*"]

[bases.debian11]
python = "3.9"
glibc = "2.31"
suite = "bullseye"
packages = ["libc6", "python3-minimal"]

[images.pytorch-inference]
title = "PyTorch inference"
framework = "pytorch"
versions = ["1.12.1"]
python = "3.9"
base = "debian11"
accelerator = "cpu"
architectures = ["amd64", "arm64"]
consumers = ["sagemaker"]
repository = "pytorch-inference"
packages.all = ["numpy==1.23.5", "torch=={version}"]
"""

CASES = tomli.loads((Path(__file__).parent / "catalog_cases.toml").read_text())["case"]


def faults_of(text: str) -> list[str]:
    with pytest.raises(CatalogInvalid) as caught:
        parse_catalog(text, templates=TEMPLATES)
    return list(caught.value.faults)


def replaced(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"].replace(" ", "-"))
def test_a_broken_catalog_is_told_all_of_its_faults(case: Mapping[str, Any]) -> None:
    assert faults_of(replaced(case["old"], case["new"])) == case["faults"]


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("[" * 500, "too deeply nested: no catalog needs more than five levels"),
        ("{a=" * 500, "too deeply nested: no catalog needs more than five levels"),
        ("9" * 5000, "a number is too long: no catalog needs more than 18 digits"),
        (
            "0x" + "f" * 5000,
            'image "pytorch-inference": title must be a text, found a number of many digits',
        ),
        ('"a\ud800"', "'\\ud800' is half a character: save the file as UTF-8"),
    ],
    ids=["brackets", "braces", "decimal", "hexadecimal", "surrogate"],
)
def test_values_that_overwhelm_parsers_are_faults(value: str, fault: str) -> None:
    assert faults_of(replaced('title = "PyTorch inference"', f"title = {value}")) == [
        f"images.toml:11: {fault}"
    ]


def test_a_key_of_thousands_of_parts_is_a_fault() -> None:
    text = replaced('title = "PyTorch inference"', ".".join("a" * 3000) + " = 1")
    assert faults_of(text) == ["images.toml:11: too deeply nested: no catalog needs more than five levels"]


def test_a_text_that_never_ends_is_told_where_it_starts() -> None:
    text = replaced('title = "PyTorch inference"', 'remarks.amd64 = \'\'\'\nIt\'s """quoted"""\n')
    assert faults_of(text) == [
        "images.toml:11: not TOML (Expected \"'''\"): a text is not closed: add the closing quotes"
    ]


def test_one_broken_image_does_not_hide_the_faults_of_another() -> None:
    second = GOOD.split("\n\n")[2].replace("pytorch", "mxnet").replace("1.12.1", "1.9.1")
    text = f"{replaced('arm64', 'armv64')}\n{second}".replace('"cpu"', '"gpu"')
    assert faults_of(text.replace('["pytorch-*"]', '["pytorch-1.12.1-*", "tensorflow-*"]')) == [
        'images.toml:2: group "default": pattern "tensorflow-*" matches no build unit',
        'images.toml:16: image "pytorch-inference": accelerator "gpu" is not one of '
        'cpu, cuda, neuron, neuronx, eia. Did you mean "cuda"?',
        'images.toml:17: image "pytorch-inference": architecture "armv64" is not one of amd64, arm64. '
        'Did you mean "arm64"?',
        'images.toml:28: image "mxnet-inference": accelerator "gpu" is not one of '
        'cpu, cuda, neuron, neuronx, eia. Did you mean "cuda"?',
    ]


def test_an_image_with_a_fault_elsewhere_is_still_compared_with_the_others() -> None:
    second = GOOD.split("\n\n")[2].replace("images.pytorch-inference", "images.copy")
    found = faults_of(f"{GOOD}\n{second}".replace('title = "PyTorch inference"\n', ""))
    assert [fault.split(": ", 2)[:2] for fault in found] == [
        ["images.toml:10", 'image "pytorch-inference"'],
        ["images.toml:21", 'image "copy"'],
        ["images.toml:21", 'image "copy"'],
        ["images.toml:21", 'image "copy"'],
    ]
    assert "title is missing" in found[1]
    assert "its unit" in found[2]
    assert "its tag" in found[3]


def test_an_empty_file_is_told_what_belongs_into_it() -> None:
    assert faults_of("") == [
        "images.toml:1: there is no image: add a table [images.NAME]",
        'images.toml:1: group "default" is missing: it says what a bare `make release` takes. '
        'Add default = ["pytorch-*"] below [groups]',
    ]


def test_faults_name_the_file_they_are_in() -> None:
    with pytest.raises(CatalogInvalid) as caught:
        parse_catalog("x", filename="other/images.toml")
    assert str(caught.value).startswith("other/images.toml:1: not TOML")
    assert caught.value.exit_code is ExitCode.USAGE


def test_without_a_list_of_templates_none_is_missing() -> None:
    text = replaced("repository", 'template = "other.Dockerfile.j2"\nrepository')
    assert parse_catalog(text).images[0].template == "other.Dockerfile.j2"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (
            b"\xff\xfea\0",
            "images.toml:1: byte 0xff is not UTF-8 text (it looks like UTF-16): save the file as UTF-8",
        ),
        (
            b"# a\n# \xe9\n",
            "images.toml:2: byte 0xe9 is not UTF-8 text (TOML is UTF-8): save the file as UTF-8",
        ),
    ],
    ids=["utf-16", "latin-1"],
)
def test_bytes_that_are_not_utf_8_are_told_their_line(content: bytes, fault: str) -> None:
    with pytest.raises(CatalogInvalid) as caught:
        parse_catalog_bytes(content)
    assert caught.value.faults == (fault,)


@pytest.mark.parametrize(
    "content",
    [GOOD.encode(), b"\xef\xbb\xbf" + GOOD.encode(), GOOD.replace("\n", "\r\n").encode()],
    ids=["plain", "byte-order-mark", "windows"],
)
def test_what_editors_add_does_not_change_the_catalog(content: bytes) -> None:
    assert parse_catalog_bytes(content) == parse_catalog(GOOD)


def test_every_spelling_of_toml_gives_the_same_catalog() -> None:
    spelled = """\
bases.debian11 = {python = '3.9', glibc = "2.31", suite = "bullseye", packages = ["python3-minimal", "libc6"]}
groups.default = [
  "pytorch-*", # all of it
]
[images."pytorch-inference".packages]
all = ["numpy==1.23.5", "torch=={version}"]
[ images . 'pytorch-inference' ]
title = "PyTorch\\u0020inference"
"framework" = '''pytorch'''
versions = ["1.12.1"]
python = "3.9"
base = "debian11"
accelerator = "cpu"
architectures = ["amd64", "arm64"]
consumers = ["sagemaker"]
repository = "pytorch-inference"
"""
    parsed, good = parse_catalog(spelled), parse_catalog(GOOD)
    assert (parsed.images[0].line, parsed.bases["debian11"].line) == (7, 1)
    assert parsed.images[0].packages == good.images[0].packages
    assert parsed.groups == good.groups
    assert parsed.bases["debian11"].origin == good.bases["debian11"].origin


def test_an_image_has_every_value_of_its_table() -> None:
    text = replaced(
        "packages.all",
        """\
tag = "{framework}-{version}-{py}"
template = "gpu/inference.Dockerfile.j2"
revision = 3
remarks.arm64 = "slow"
foreign_elf = [{path = "/opt/*.cubin", machine = "CUDA", reason = "GPU code"}, {path = "/x", reason = "y"}]
exclude = [{version = "1.12.1", architecture = "arm64", reason = "no wheel"}]
drop = [
  {path = "torch/include", reason = "z"},
  {architecture = "amd64", path = "*.so", sections = [".a"], reason = "w"},
]
packages.amd64 = ["intel-openmp ; python_version < '3.10'"]
packages.all""",
    )
    (image,) = parse_catalog(text).images
    assert image == Image(
        name="pytorch-inference",
        title="PyTorch inference",
        framework="pytorch",
        versions=("1.12.1",),
        python="3.9",
        base="debian11",
        accelerator=Accelerator.CPU,
        architectures=(Architecture.AMD64, Architecture.ARM64),
        consumers=(Consumer.SAGEMAKER,),
        template="gpu/inference.Dockerfile.j2",
        repository="pytorch-inference",
        tag="{framework}-{version}-{py}",
        packages={
            Architecture.AMD64: (
                "numpy==1.23.5",
                "torch=={version}",
                "intel-openmp ; python_version < '3.10'",
            ),
            Architecture.ARM64: ("numpy==1.23.5", "torch=={version}"),
        },
        remarks={Architecture.ARM64: "slow"},
        foreign_elf=(
            ForeignElf(path="/opt/*.cubin", machine="CUDA", reason="GPU code"),
            ForeignElf(path="/x", machine="*", reason="y"),
        ),
        exclusions=(Exclusion(version="1.12.1", architecture=Architecture.ARM64, reason="no wheel"),),
        drops=(
            Drop(version="", architecture=None, path="torch/include", reason="z"),
            Drop(version="", architecture=Architecture.AMD64, path="*.so", sections=(".a",), reason="w"),
        ),
        revision=3,
        line=10,
    )


def test_a_base_is_a_recipe_with_sorted_packages_or_a_reference() -> None:
    recipe = parse_catalog(GOOD.replace('"libc6", "python3-minimal"', '"python3-minimal", "libc6"'))
    assert recipe.bases["debian11"] == Base(
        name="debian11",
        python="3.9",
        glibc="2.31",
        origin=Recipe(suite="bullseye", packages=("libc6", "python3-minimal")),
        line=4,
    )
    image = replaced(
        'suite = "bullseye"\npackages = ["libc6", "python3-minimal"]',
        'reference = "mirror.example:5000/debian:bullseye"',
    )
    assert parse_catalog(image).bases["debian11"].origin == Reference(
        registry="mirror.example:5000", repository="debian", tag="bullseye"
    )


def test_an_exclusion_makes_room_for_another_image_of_the_same_unit() -> None:
    second = GOOD.split("\n\n")[2].replace("images.pytorch-inference", "images.copy")
    second = second.replace('["amd64", "arm64"]', '["arm64"]').replace('"pytorch-inference"', '"other"')
    row = 'exclude = [{architecture = "arm64", reason = "the other image has it"}]\n'
    assert len(parse_catalog(f"{GOOD}{row}\n{second}").images) == 2


def test_the_projects_own_catalog_parses() -> None:
    templates = [path.name for path in (ROOT / "dockerfiles").glob("*.j2")]
    catalog = parse_catalog_bytes((ROOT / "images.toml").read_bytes(), templates=templates or None)
    rows = {
        (image.repository, version, architecture.value, consumer.value)
        for image in catalog.images
        for version in image.versions
        for architecture in image.architectures
        for consumer in image.consumers
    }
    assert rows >= {
        ("tensorflow-inference", "2.9.1", "amd64", "sagemaker"),
        ("tensorflow-inference", "2.9.1", "arm64", "sagemaker"),
        ("pytorch-inference", "1.12.1", "amd64", "sagemaker"),
        ("pytorch-inference", "1.12.1", "arm64", "sagemaker"),
    }
    by_name = {image.name: image for image in catalog.images}
    assert by_name["tensorflow-inference-2-9"].packages == {
        Architecture.AMD64: ("numpy==1.23.5", "protobuf<3.20", "tensorflow-cpu=={version}"),
        Architecture.ARM64: ("numpy==1.23.5", "protobuf<3.20", "tensorflow-cpu-aws=={version}"),
    }
    assert list(by_name["pytorch-inference-1-12"].remarks) == [Architecture.AMD64]
    base = catalog.bases["debian11"]
    assert isinstance(base.origin, Recipe)
    assert (base.python, base.glibc, base.origin.suite) == ("3.9", "2.31", "bullseye")
    assert "python3-minimal" in base.origin.packages
    assert catalog.groups["default"] == (
        "tensorflow-2.21.0-*-sagemaker",
        "pytorch-1.12.1-*-debian11-sagemaker",
    )


def test_ten_thousand_units_are_read_in_about_a_second() -> None:
    head, _, image = GOOD.rpartition("\n\n")
    versions = ", ".join(f'"1.{minor}.0"' for minor in range(10))
    image = image.replace('"1.12.1"', versions)
    copies = (image.replace("pytorch", f"framework{number}") for number in range(500))
    text = f"{head}\n\n{''.join(copies)}".replace('["pytorch-*"]', '["framework499-*"]')
    started = time.process_time()
    catalog = parse_catalog(text)
    # Measured: 0.25 s of processor time; the margin is for slow machines, not for quadratic code.
    assert time.process_time() - started < 3
    assert len(catalog.images) == 500


def test_a_pattern_that_may_be_about_a_broken_image_is_let_be() -> None:
    text = replaced('versions = ["1.12.1"]', 'versions = ["v1.12.1"]').replace(
        '"pytorch-*"', '"pytorch-1.12.1-*"'
    )
    assert [fault.partition(" ")[0] for fault in faults_of(text)] == ["images.toml:13:"]


def test_a_pattern_may_name_an_image_id_for_all_of_its_architectures() -> None:
    pattern = "pytorch-1.12.1-cpu-py39-debian11-sagemaker"
    assert parse_catalog(replaced("pytorch-*", pattern)).groups == {"default": (pattern,)}


def test_a_matrix_keeps_the_order_of_the_file_and_leaves_out_exclusions() -> None:
    text = replaced('["1.12.1"]', '["1.13.1", "1.12.1"]').replace('["sagemaker"]', '["sagemaker", "eks"]')
    row = 'exclude = [{version = "1.12.1", architecture = "arm64", reason = "no wheel"}]\n'
    (image,) = parse_catalog(text + row).images
    assert [(cell.version, cell.consumer.value, cell.architecture.value) for cell in image.cells] == [
        ("1.13.1", "sagemaker", "amd64"),
        ("1.13.1", "sagemaker", "arm64"),
        ("1.13.1", "eks", "amd64"),
        ("1.13.1", "eks", "arm64"),
        ("1.12.1", "sagemaker", "amd64"),
        ("1.12.1", "eks", "amd64"),
    ]
