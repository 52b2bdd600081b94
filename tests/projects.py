"""Small projects for tests: a catalog, a lock that fits it, sources, and what they render to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from toolkit.catalog import parse_catalog
from toolkit.catalog.model import Catalog
from toolkit.lock import Lock, LockedBase, LockedUnit, base_inputs_digest, inputs_digest
from toolkit.oci import Architecture, Digest
from toolkit.render import BaseIdentity, RenderedUnit, Sources, base_name, render
from toolkit.units import BuildUnit, expand

ROOT = Path(__file__).parents[1]
CREATED = "2026-11-21T08:15:00Z"
REQUIREMENTS = (
    f"numpy==1.23.5 --hash=sha256:{'1' * 64}",
    f"torch==1.12.1 --hash=sha256:{'2' * 64} --hash=sha256:{'3' * 64}",
)
TEMPLATES = {path.name: path.read_text() for path in sorted((ROOT / "dockerfiles").glob("*.j2"))}
"""The project's own templates."""

SERVING: Mapping[str, bytes] = {
    "requirements.in": b"# what the runtime needs\nstarlette>=0.49  # the server\n\n",
    "serve": b"#!/usr/bin/python3\n",
    "serving/__init__.py": b"",
}
PROGRAMS = {path.name: path.read_bytes() for path in sorted((ROOT / "dockerfiles/environment").glob("*.py"))}
SOURCES = Sources(templates=TEMPLATES, serving=SERVING, programs=PROGRAMS)

BASES = """
[bases.debian11]
python = "3.9"
glibc = "2.31"
suite = "bullseye"
packages = ["libc6", "python3-minimal"]
"""

PYTORCH = """
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
remarks.amd64 = "carries CUDA libraries"
"""

TENSORFLOW = """
[images.tensorflow-inference]
title = "TensorFlow inference"
framework = "tensorflow"
versions = ["2.9.1"]
python = "3.9"
base = "debian11"
accelerator = "cpu"
architectures = ["arm64", "amd64"]
consumers = ["sagemaker", "eks"]
repository = "tensorflow-inference"
packages.amd64 = ["tensorflow-cpu=={version}"]
packages.arm64 = ["tensorflow-cpu-aws=={version}"]
"""

CATALOG = f"""\
[groups]
default = ["pytorch-*", "tensorflow-*-sagemaker-*"]
arm = ["*-arm64"]
{BASES}{PYTORCH}{TENSORFLOW}"""

ARM64 = "pytorch-1.12.1-cpu-py39-debian11-sagemaker-arm64"
AMD64 = "pytorch-1.12.1-cpu-py39-debian11-sagemaker-amd64"


def catalog(text: str = CATALOG) -> Catalog:
    return parse_catalog(text, templates=TEMPLATES.keys())


def units(text: str = CATALOG) -> tuple[BuildUnit, ...]:
    return expand(catalog(text))


def unit(identifier: str = ARM64, text: str = CATALOG) -> BuildUnit:
    return next(each for each in units(text) if each.identifier == identifier)


def digest(number: int) -> Digest:
    return Digest.of(str(number).encode())


def base_digest(architecture: Architecture) -> Digest:
    return Digest.of(architecture.value.encode())


def identity(each: BuildUnit) -> BaseIdentity:
    return BaseIdentity(reference=base_name(each.base), digest=base_digest(each.architecture))


def locked_unit(
    each: BuildUnit,
    *,
    sources: Sources = SOURCES,
    requirements: Sequence[str] = REQUIREMENTS,
    created: str = CREATED,
    unlocked: str = "",
) -> LockedUnit:
    return LockedUnit(
        inputs=inputs_digest(each, sources.serving_requirements),
        created=created,
        requirements=() if unlocked else tuple(requirements),
        unlocked=unlocked,
    )


def lock_of(some: Iterable[BuildUnit], *, sources: Sources = SOURCES) -> Lock:
    """A lock that fits `some` units and their bases."""
    rows = tuple(some)
    return Lock(
        bases={
            each.base.name: {
                architecture: LockedBase(
                    inputs=base_inputs_digest(each.base), digest=base_digest(architecture)
                )
                for architecture in Architecture
            }
            for each in rows
        },
        units={each.identifier: locked_unit(each, sources=sources) for each in rows},
    )


def rendered(
    each: BuildUnit,
    *,
    sources: Sources = SOURCES,
    locked: LockedUnit | None = None,
    base: BaseIdentity | None = None,
) -> RenderedUnit:
    """The unit with everything that is not said as it fits."""
    return render(
        each,
        lock=Lock(units={each.identifier: locked or locked_unit(each, sources=sources)}),
        sources=sources,
        base=base or identity(each),
    )


def template(text: str, **others: str) -> Sources:
    """Sources whose inference.Dockerfile.j2 is `text`; `others` are further templates, without `.j2`."""
    named = {f"{name}.j2": content for name, content in others.items()}
    return replace(SOURCES, templates={**TEMPLATES, "inference.Dockerfile.j2": text, **named})


def with_file(path: str, content: bytes) -> Sources:
    return replace(SOURCES, serving={**SERVING, path: content})
