"""The tables of AWS images in toolkit/data, each read when first asked for."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from toolkit.oci import Architecture
from toolkit.regions import image_families

_DATA = Path(__file__).parent.with_name("data")

Config = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Generation:
    """The tables of one major version of the SageMaker SDK, and where its rules differ from the other's.

    `source` is the package and version that they were read from. `frameworks` maps a framework to its
    configuration as the SDK ships it, with the name of an image family for each map of accounts.
    """

    source: str
    rules: Config
    frameworks: Mapping[str, Config]
    resolves_alias_in_huggingface_tag: bool
    sagemaker_suffix: tuple[str, ...]


@cache
def second() -> Generation:
    """SDK 2.x: `sagemaker.image_uris`."""
    return Generation(
        **_read("aws_images_sdk2.json"),
        resolves_alias_in_huggingface_tag=False,
        sagemaker_suffix=("graviton",),
    )


@cache
def third() -> Generation:
    """SDK 3.x: `sagemaker.core.image_uris`."""
    return Generation(
        **_read("aws_images_sdk3.json"),
        resolves_alias_in_huggingface_tag=True,
        sagemaker_suffix=("graviton", "arm64"),
    )


@dataclass(frozen=True, kw_only=True)
class DeepLearningContainer:
    """One row of aws_deep_learning_containers.tsv: an inference image that the SDK does not know.

    `accelerator` is a kind of toolkit.hardware; `consumer` is sagemaker, ec2 or any; `status` is
    `published` (seen in AWS's tables) or `derived` (from AWS's build files and the pattern of tags);
    `patched_until` is a date, "ended" for one long past, or "" where none was announced.
    """

    framework: str
    version: str
    python: str
    architecture: Architecture
    accelerator: str
    consumer: str
    repository: str
    tag: str
    status: str
    patched_until: str


@cache
def deep_learning_containers() -> tuple[DeepLearningContainer, ...]:
    with (_DATA / "aws_deep_learning_containers.tsv").open(encoding="utf-8") as lines:
        rows = csv.DictReader((line for line in lines if not line.startswith("#")), delimiter="\t")
        return tuple(
            DeepLearningContainer(architecture=Architecture(row.pop("architecture")), **row) for row in rows
        )


@cache
def deep_learning_container_accounts() -> Mapping[str, str]:
    """Region → account of AWS's deep learning containers: that of the newest one the SDK knows.

    Every such repository has one account per region; which versions reached a region is not known here.
    """
    versions = second().frameworks["pytorch"]["inference"]["versions"]
    newest = list(versions.values())[-1]
    return image_families()[newest["registries"]]


def _read(name: str) -> Mapping[str, Any]:
    return MappingProxyType(json.loads((_DATA / name).read_text(encoding="utf-8")))
