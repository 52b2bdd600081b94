"""[builders] of the catalog: machines that build, and their faults; `emulation` of an image."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import tomli

from tests.projects import CATALOG
from toolkit.catalog import parse_catalog
from toolkit.catalog.builder import Node, NodeKind, NodePlatform
from toolkit.catalog.model import Emulation
from toolkit.errors import CatalogInvalid

BUILDERS = """
[builders.fleet.nodes.here]
kind = "local"
platforms = ["linux/amd64"]

[builders.fleet.nodes.arm64]
kind = "remote"
endpoint = "tcp://arm64.build.example:1234"
certificates = "arm64-node"
server_name = "node.build.example"
platforms = ["linux/arm64"]

[builders.fleet.nodes.second]
kind = "ssh"
endpoint = "ssh://build@second.build.example:2222"
platforms = ["linux/arm64", "linux/amd64"]

[builders.boxes.nodes.here]
kind = "docker-container"
image = "registry.example/moby/buildkit:v0.13.1"
platforms = ["linux/amd64"]

[builders.pods.nodes.arm64]
kind = "kubernetes"
namespace = "buildkit"
replicas = 3
platforms = ["linux/arm64"]
"""

CASES = tomli.loads((Path(__file__).parent / "catalog_builder_cases.toml").read_text())["case"]


def test_builders_have_nodes_in_the_order_of_the_file() -> None:
    found = parse_catalog(CATALOG + BUILDERS).builders
    line = CATALOG.count("\n") + 2
    assert list(found) == ["fleet", "boxes", "pods"]
    assert found["fleet"].nodes == (
        Node(name="here", kind=NodeKind.LOCAL, platforms=(NodePlatform.AMD64,), line=line),
        Node(
            name="arm64",
            kind=NodeKind.REMOTE,
            platforms=(NodePlatform.ARM64,),
            line=line + 4,
            endpoint="tcp://arm64.build.example:1234",
            certificates="arm64-node",
            server_name="node.build.example",
        ),
        Node(
            name="second",
            kind=NodeKind.SSH,
            platforms=(NodePlatform.ARM64, NodePlatform.AMD64),
            line=line + 11,
            endpoint="ssh://build@second.build.example:2222",
        ),
    )
    assert found["boxes"].nodes[0].image == "registry.example/moby/buildkit:v0.13.1"
    assert (found["pods"].nodes[0].namespace, found["pods"].nodes[0].replicas) == ("buildkit", 3)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_each_fault_of_a_builder_is_told_with_its_line(case: Mapping[str, Any]) -> None:
    with pytest.raises(CatalogInvalid) as caught:
        parse_catalog(f"{CATALOG}{case['table']}")
    above = CATALOG.count("\n")
    told = []
    for fault in caught.value.faults:
        _, line, text = fault.split(":", maxsplit=2)
        told.append(f"{int(line) - above}:{text}")
    assert told == case["faults"]


def test_an_image_allows_emulation_unless_it_says_otherwise() -> None:
    said = CATALOG.replace('remarks.amd64 = "carries', 'emulation = "refuse"\nremarks.amd64 = "carries')
    pytorch, tensorflow = parse_catalog(said).images
    assert (pytorch.emulation, tensorflow.emulation) == (Emulation.REFUSE, Emulation.ALLOW)
    with pytest.raises(CatalogInvalid, match='emulation "never" is not one of allow, warn, refuse'):
        parse_catalog(said.replace('"refuse"', '"never"'))
