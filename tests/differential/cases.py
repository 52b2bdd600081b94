"""The cases on which the resolver and the SDK are compared, from the tables themselves."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from toolkit.regions import image_families, partitions
from toolkit.resolve.tables import second

Case = Mapping[str, Any]

MACHINES = (
    None,
    "ml.c5.4xlarge",
    "ml.m7i.large",
    "ml.g5.xlarge",
    "ml.p4d.24xlarge",
    "ml.p2.xlarge",
    "ml.p3.2xlarge",
    "ml.c6g.4xlarge",
    "ml.r6gd.large",
    "ml.c7g.xlarge",
    "ml.m7g.xlarge",
    "ml.r8g.large",
    "ml.t4g.2xlarge",
    "ml.g5g.xlarge",
    "ml.inf1.xlarge",
    "ml.inf2.xlarge",
    "ml.trn1.2xlarge",
    "ml_c6g",
    "ml.c5",
    "local",
    "local_gpu",
)
SCOPES = (None, "training", "inference", "inference_graviton", "eia", "processing")
EXTRAS: tuple[Case, ...] = (
    {"accelerator_type": "ml.eia2.medium"},
    {"accelerator_type": "ml.eia9"},
    {"accelerator_type": "bogus"},
    {"container_version": "cu110-ubuntu18.04"},
    {"distribution": {"smdistributed": {"dataparallel": {"enabled": True}}}},
    {"inference_tool": "neuron"},
    {"inference_tool": "neuronx"},
    {"sdk_version": "sdk2.4.0"},
)


def images() -> Iterator[Case]:
    """One case per framework, scope, version or alias, base version and Python version; without a region."""
    for framework, config in second().frameworks.items():
        scopes = config["scope"] if "scope" in config else tuple(config)
        for scope in scopes:
            scoped = config if "scope" in config else config[scope]
            for version in (*scoped.get("versions", ()), *scoped.get("version_aliases", ()), None, "99.9"):
                resolved = scoped.get("version_aliases", {}).get(version, version)
                image = scoped.get("versions", {}).get(resolved, {})
                for base, python in _pythons(image):
                    yield {
                        "framework": framework,
                        "image_scope": scope,
                        "version": version,
                        "base_framework_version": base,
                        "py_version": python,
                    }


def _pythons(image: Mapping[str, Any]) -> Iterator[tuple[str | None, str | None]]:
    if "repository" in image or not image:
        yield from ((None, python) for python in (*image.get("py_versions", ()), None))
        return
    for name, child in image.items():
        if name == "version_aliases":
            yield from ((alias, None) for alias in child)
        elif "repository" in child:
            yield from ((name, python) for python in (*child.get("py_versions", ()), None))
            yield None, name


def all_regions() -> tuple[str, ...]:
    offered = {region for accounts in image_families().values() for region in accounts}
    known = {region for partition in partitions() for region in partition.regions}
    return (*sorted(offered | known), "us-nowhere-1")


def cases() -> Iterator[Case]:
    """Every image on every machine, in every region, under every scope, and with the other arguments."""
    regions = itertools.cycle(all_regions())
    named = [case for case in images() if case["version"] != "99.9"]
    for case, machine in itertools.product(images(), MACHINES):
        yield {**case, "region": "us-west-2", "instance_type": machine}
    machines = itertools.cycle(MACHINES[1:14])
    for case in named:
        for region in itertools.islice(regions, 9):
            yield {**case, "region": region, "instance_type": next(machines)}
    for case, scope in itertools.product(named, SCOPES):
        yield {**case, "image_scope": scope, "region": "eu-west-1", "instance_type": "ml.c5.xlarge"}
    for case, extra in itertools.product(named, EXTRAS):
        yield {**case, **extra, "region": "us-east-1", "instance_type": next(machines)}
