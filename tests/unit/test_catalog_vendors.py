"""What the catalog says of vendors' own places, SDKs and the end of support."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import tomli

from toolkit.catalog import (
    AptPackages,
    Download,
    EndOfLife,
    Install,
    Sdk,
    Source,
    SourceKind,
    State,
    Support,
    parse_catalog,
)
from toolkit.catalog.wheels import wheel_problem
from toolkit.errors import CatalogInvalid
from toolkit.oci import Architecture, Reference
from toolkit.units import BuildUnit, expand

NEURON = """\
[groups]
default = ["*"]

[sources.neuron-pip]
kind = "index"
url = "https://pip.repos.neuron.amazonaws.com"

[sources.neuron-apt]
kind = "apt"
url = "https://apt.repos.neuron.amazonaws.com"
suite = "focal"
components = ["main"]
key = "https://apt.repos.neuron.amazonaws.com/KEY.PUB"

[sources.tools]
kind = "objects"
url = "https://tools.example/bucket/"

[bases."ubuntu20.04"]
python = "3.8"
glibc = "2.31"
reference = "public.ecr.aws/docker/library/ubuntu:20.04"
install = ["python3", "libgomp1"]
end_of_life = { date = "2025-05-31", source = "https://ubuntu.com/about/release-cycle" }

[images.pytorch-inference-neuron]
title = "PyTorch inference on Inferentia"
framework = "pytorch"
versions = ["1.12.1", "1.13.1"]
python = "3.8"
base = "ubuntu20.04"
accelerator = "neuron"
architectures = ["amd64", "arm64"]
consumers = ["sagemaker"]
repository = "pytorch-inference-neuron"
packages.all = ["torch=={version}"]
packages.amd64 = ["torch-neuron"]
index.amd64 = ["neuron-pip"]
sdk = { version = "2.20.2", floor = "2.20.0", source = "https://github.com/aws-neuron/issues/1071" }
apt = { source = "neuron-apt", packages = ["aws-neuronx-tools=2.19.*", "aws-neuronx-dkms"] }
support = { state = "legacy", date = "2025-01-02", source = "https://aws.amazon.com/inf1", reason = "no SDK" }

[[images.pytorch-inference-neuron.downloads]]
source = "tools"
path = "a+b/tool_1.0.tar.gz"
install = "archive"
to = "/opt/tool"
strip = 1
version = "1.13.1"

[[images.pytorch-inference-neuron.downloads]]
source = "tools"
path = "tool-1.0-py3-none-any.whl"
install = "wheel"
architecture = "arm64"
"""

CASES = tomli.loads((Path(__file__).parent / "catalog_cases_vendors.toml").read_text())["case"]

TOOLS = Source(name="tools", kind=SourceKind.OBJECTS, url="https://tools.example/bucket/", line=15)


def unit(version: str, architecture: str) -> BuildUnit:
    wanted = (version, architecture)
    (found,) = (
        each for each in expand(parse_catalog(NEURON)) if (each.version, str(each.architecture)) == wanted
    )
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"].replace(" ", "-"))
def test_a_broken_catalog_is_told_all_of_its_faults(case: Mapping[str, Any]) -> None:
    assert NEURON.count(case["old"]) == 1
    with pytest.raises(CatalogInvalid) as caught:
        parse_catalog(NEURON.replace(case["old"], case["new"]))
    assert list(caught.value.faults) == case["faults"]


def test_sources_are_places_of_four_kinds() -> None:
    assert parse_catalog(NEURON).sources == {
        "neuron-pip": Source(
            name="neuron-pip", kind=SourceKind.INDEX, url="https://pip.repos.neuron.amazonaws.com", line=4
        ),
        "neuron-apt": Source(
            name="neuron-apt",
            kind=SourceKind.APT,
            url="https://apt.repos.neuron.amazonaws.com",
            line=8,
            suite="focal",
            components=("main",),
            key="https://apt.repos.neuron.amazonaws.com/KEY.PUB",
        ),
        "tools": TOOLS,
    }


def test_a_base_of_a_registry_says_what_it_lacks_and_until_when_it_is_supported() -> None:
    base = parse_catalog(NEURON).bases["ubuntu20.04"]
    assert base.origin == Reference.parse("public.ecr.aws/docker/library/ubuntu:20.04")
    assert base.install == ("python3", "libgomp1")
    assert base.end_of_life == EndOfLife(
        date=date(2025, 5, 31), source="https://ubuntu.com/about/release-cycle"
    )


def test_an_index_is_for_all_architectures_or_for_one() -> None:
    index = parse_catalog(NEURON).sources["neuron-pip"]
    assert parse_catalog(NEURON).images[0].indexes == {Architecture.AMD64: (index,)}
    both = parse_catalog(NEURON.replace("index.amd64", "index.all")).images[0]
    assert both.indexes == dict.fromkeys(Architecture, (index,))


def test_an_index_may_be_asked_for_some_packages_only() -> None:
    text = NEURON.replace(
        'kind = "index"', 'kind = "index"\npackages = ["Torch_Neuron", "torch-neuron", "x"]'
    )
    assert parse_catalog(text).sources["neuron-pip"].packages == ("torch-neuron", "x")


def test_an_image_has_vendor_packages_an_sdk_and_a_word_on_its_support() -> None:
    catalog = parse_catalog(NEURON)
    (image,) = catalog.images
    assert image.apt == AptPackages(
        source=catalog.sources["neuron-apt"], packages=("aws-neuronx-tools=2.19.*", "aws-neuronx-dkms")
    )
    assert image.sdk == Sdk(
        version="2.20.2", floor="2.20.0", source="https://github.com/aws-neuron/issues/1071"
    )
    assert image.support == Support(
        state=State.LEGACY, date=date(2025, 1, 2), source="https://aws.amazon.com/inf1", reasons=("no SDK",)
    )


def test_an_sdk_stands_in_names_as_in_aws() -> None:
    found = unit("1.13.1", "amd64")
    assert found.identifier == "pytorch-1.13.1-neuron-py38-sdk2.20.2-ubuntu20.04-sagemaker-amd64"
    assert found.arch_tag == "1.13.1-neuron-py38-sdk2.20.2-ubuntu20.04-sagemaker-amd64"


def test_images_of_two_sdks_are_two_images() -> None:
    image = NEURON.split("\n\n", 5)[5]
    second = image.replace("-inference-neuron", "-inference-neuron-old").replace(
        'version = "2.20.2", floor = "2.20.0"', 'version = "2.19.1", floor = "2.19.0"'
    )
    shared = second.replace('"pytorch-inference-neuron-old"', '"pytorch-inference-neuron"')
    identifiers = [each.identifier for each in expand(parse_catalog(f"{NEURON}\n{shared}"))]
    assert len(set(identifiers)) == len(identifiers) == 8


def test_a_unit_has_the_downloads_of_its_version_and_architecture() -> None:
    archive = Download(
        version="1.13.1",
        architecture=None,
        source=TOOLS,
        path="a+b/tool_1.0.tar.gz",
        install=Install.ARCHIVE,
        to="/opt/tool",
        strip=1,
    )
    wheel = Download(
        version="",
        architecture=Architecture.ARM64,
        source=TOOLS,
        path="tool-1.0-py3-none-any.whl",
        install=Install.WHEEL,
    )
    assert unit("1.12.1", "amd64").downloads == ()
    assert unit("1.13.1", "amd64").downloads == (archive,)
    assert unit("1.13.1", "arm64").downloads == (archive, wheel)


def test_the_url_of_a_download_is_encoded_for_a_bucket() -> None:
    download = unit("1.13.1", "amd64").downloads[0]
    assert download.url == "https://tools.example/bucket/a%2Bb/tool_1.0.tar.gz"
    assert download.filename == "tool_1.0.tar.gz"


def test_a_unit_knows_every_place_that_something_of_it_comes_from() -> None:
    assert [each.name for each in unit("1.13.1", "amd64").sources] == ["neuron-pip", "neuron-apt", "tools"]
    assert [each.name for each in unit("1.12.1", "amd64").sources] == ["neuron-pip", "neuron-apt"]
    assert [each.name for each in unit("1.12.1", "arm64").sources] == ["neuron-apt", "tools"]


def test_an_image_may_be_current_by_its_own_word() -> None:
    text = NEURON.replace('state = "legacy"', 'state = "current"').replace(', reason = "no SDK"', "")
    support = parse_catalog(text).images[0].support
    assert support is not None
    assert (support.state, support.reasons) == (State.CURRENT, ())


@pytest.mark.parametrize(
    ("name", "python", "problem"),
    [
        ("a-1-py3-none-any.whl", "3.8", None),
        ("a-1-py2.py3-none-manylinux2014_x86_64.whl", "3.8", None),
        ("a-1-cp38-cp38-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "3.8", None),
        ("a-1-cp36-abi3-linux_x86_64.whl", "3.8", None),
        ("a-1-cp36-cp36m-linux_x86_64.whl", "3.8", 'is for cp36, the image has Python "3.8"'),
        ("a-1-cp310-cp310-linux_x86_64.whl", "3.1", 'is for cp310, the image has Python "3.1"'),
        ("a-1-py39-none-any.whl", "3.8", 'is for py39, the image has Python "3.8"'),
        ("a-1-py2-none-any.whl", "3.8", 'is for py2, the image has Python "3.8"'),
        ("a-1-cp39-abi3-any.whl", "3.8", 'is for cp39, the image has Python "3.8"'),
        ("a-1-py3-none-win_amd64.whl", "3.8", 'is for win_amd64, the image is built for "amd64" too'),
        (
            "a-1-py3-none-manylinux2014_aarch64.whl",
            "3.8",
            'is for manylinux2014_aarch64, the image is built for "amd64" too',
        ),
    ],
)
def test_a_wheel_that_no_unit_could_install_is_told_by_its_name(
    name: str, python: str, problem: str | None
) -> None:
    assert wheel_problem(name, python, [Architecture.AMD64]) == problem


def test_a_wheel_need_not_fit_what_is_excluded() -> None:
    text = NEURON.replace('architecture = "arm64"\n', "").replace("py3-none-any", "py3-none-linux_x86_64")
    with pytest.raises(CatalogInvalid, match='is built for "arm64" too'):
        parse_catalog(text)
    row = 'exclude = [{ architecture = "arm64", reason = "none" }]\nsupport = {'
    assert parse_catalog(text.replace("support = {", row)).images[0].downloads
