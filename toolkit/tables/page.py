"""The release as one page: no network, every image, filters by what a deployer knows.

The rows are in the page's HTML; details, packages and instance types are JSON in it, which page.js of
toolkit/data shows when asked. Its content security policy lets nothing else run and nothing be fetched.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.hardware import AcceleratorKind, Use, get_family, get_instance_type, instance_type_names
from toolkit.hardware.model import SAGEMAKER_PREFIX
from toolkit.quantities import human_size
from toolkit.record import PublishedImage, ReleaseRecord

_DATA = Path(__file__).parents[1] / "data"

# The accelerator in the catalog's words of images for a machine's; "" where no image fits.
_ACCELERATORS = {
    AcceleratorKind.NONE: "cpu",
    AcceleratorKind.GPU: "cuda",
    AcceleratorKind.NEURON: "neuron",
    AcceleratorKind.NEURONX: "neuronx",
    AcceleratorKind.EIA: "eia",
    AcceleratorKind.OTHER: "",
}
_FACETS = ("framework", "version", "architecture", "accelerator", "consumer", "region")
_NO_REGION = "-"
_SUPPORT_CLASSES = {"current": "good", "legacy": "fair", "ended": "bad"}


def to_html(record: ReleaseRecord) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    style, script = (_read(name) for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    environment = Environment(
        loader=FileSystemLoader(_DATA), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    has_regions = len({image.registry for image in record.images}) > 1
    return environment.get_template("page.html.j2").render(
        record=record,
        policy=policy,
        style=Markup(style),
        script=Markup(script),
        data=Markup(_embedded(_data(record.images))),
        rows=tuple(_row(image, image.region if has_regions else "") for image in record.images),
        figures=tuple(_figures(record.images)),
        facets=tuple(_facets(record.images)),
    )


def _read(name: str) -> str:
    return (_DATA / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _embedded(data: Any) -> str:
    """JSON that ends no script element:
    https://html.spec.whatwg.org/multipage/scripting.html#restrictions-for-contents-of-script-elements"""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=True).replace("<", "\\u003c")


def _figures(images: Sequence[PublishedImage]) -> Iterator[tuple[str, str]]:
    lists = {(image.repository, image.index_digest) for image in images if image.index_digest}
    # What several regions hold is one image.
    images = tuple({image.identifier: image for image in images}.values())
    yield "images", f"{len(images):,}"
    yield "manifest lists", f"{len(lists):,}"
    for architecture in sorted({image.architecture for image in images}):
        yield architecture, f"{sum(image.architecture == architecture for image in images):,}"
    yield "in the registry", human_size(sum(image.size for image in images))
    yield "verified", f"{sum(_is_verified(image) for image in images):,} of {len(images):,}"


@dataclass(frozen=True, kw_only=True)
class _Facet:
    name: str
    title: str
    options: tuple[str, ...]


def _facets(images: Sequence[PublishedImage]) -> Iterator[_Facet]:
    for name in _FACETS:
        values = {_value(image, name) for image in images}
        yield _Facet(name=name, title=name.capitalize(), options=tuple(sorted(values)))


def _value(image: PublishedImage, facet: str) -> str:
    return str(getattr(image, facet)) or _NO_REGION


def _row(image: PublishedImage, region: str) -> dict[str, Any]:
    """`region` is "" where all rows are of one place."""
    passed = sum(result == "passed" for result in image.verification.values())
    return {
        "name": f"{image.identifier} in {region}" if region else image.identifier,
        "title": f"{image.framework} {image.version}",
        "kind": f"Python {image.python} · {image.os} · {image.accelerator}"
        + (f" · {region}" if region else ""),
        "architecture": image.architecture,
        "consumer": image.consumer,
        "size": human_size(image.size),
        "created": image.created,
        "uri": image.uri,
        "digest": f"{image.uri.rpartition('@')[2][:19]}…",
        "support": _support(image),
        "support_class": _SUPPORT_CLASSES.get(image.support.get("state", ""), "fair"),
        "passed": passed,
        "failed": len(image.verification) - passed,
    }


def _is_verified(image: PublishedImage) -> bool:
    return bool(image.verification) and set(image.verification.values()) == {"passed"}


def _support(image: PublishedImage) -> str:
    state, date = image.support.get("state", ""), image.support.get("date", "")
    if not state:
        return ""
    if state == "current":
        return f"until {date}" if date else "current"
    return f"{state} {date}".strip()


def _data(images: Sequence[PublishedImage]) -> dict[str, Any]:
    """What the script reads. Packages are told once, and so are sets of them."""
    packages: dict[tuple[str, str, str], int] = {}
    sets: dict[tuple[int, ...], int] = {}
    rows = []
    for image in images:
        ordered = sorted(
            image.packages, key=lambda each: (each.kind != "python", each.kind, each.name.lower())
        )
        held = tuple(
            packages.setdefault((each.name, each.version, each.kind), len(packages)) for each in ordered
        )
        rows.append(
            {name: _value(image, name) for name in _FACETS}
            | {
                "identifier": image.identifier,
                "uri": image.uri,
                "size": image.size,
                "created": image.created,
                "state": image.support.get("state", ""),
                "end": image.support.get("date", ""),
                "set": sets.setdefault(held, len(sets)),
                "details": tuple(_details(image)),
            }
        )
    return {"images": rows, "packages": list(packages), "sets": list(sets), "hardware": hardware()}


def _details(image: PublishedImage) -> Iterator[tuple[str, str, str]]:
    """Name, value, and how it is shown: with a button that copies it, as code, as text or as a link."""
    place = f"{image.registry}/{image.repository}"
    source = image.support.get("source", "")
    checks = ", ".join(
        name if result == "passed" else f"{name}: {result}"
        for name, result in sorted(image.verification.items())
    )
    base = f"{image.base.get('reference', '')} {image.base.get('digest', '')}".strip()
    details = (
        ("Identifier", image.identifier, "copy"),
        ("URI", image.uri, "copy"),
        ("Digest", image.digest, "copy"),
        ("Tag", f"{place}:{image.tag}", "copy"),
        ("Manifest list", image.index_uri, "copy"),
        ("Tag of the list", f"{place}:{image.index_tag}" if image.index_tag else "", "copy"),
        ("Media type", image.media_type, "code"),
        ("Size", f"{human_size(image.size)} compressed, {human_size(image.unpacked_size)} unpacked", "text"),
        ("Base", base, "code"),
        ("Entrypoint", " ".join(image.entrypoint), "code"),
        ("Ports", " ".join(image.ports), "code"),
        ("Verified", checks, "text"),
        ("Built", "emulated" if image.emulated else "natively", "text"),
        ("Build id", image.build_id, "code"),
        ("Support", " ".join(image.support.get("reasons", "").split()), "text"),
        ("Who says so", source, "link" if source.startswith("https://") else "text"),
        ("Remark", image.remark, "text"),
    )
    yield from (each for each in details if each[1])


def hardware() -> list[tuple[str, str, str, str, str]]:
    """Family, architecture ("" where it runs no Linux images), the accelerator of its images, and its sizes:
    those of EC2 and those on which SageMaker has endpoints, apart by spaces."""
    ec2: dict[str, list[str]] = {}
    sagemaker: dict[str, list[str]] = {}
    for name in instance_type_names():
        family, _, size = name.removeprefix(SAGEMAKER_PREFIX).partition(".")
        if not name.startswith(SAGEMAKER_PREFIX):
            ec2.setdefault(family, []).append(size)
        elif Use.ENDPOINT in get_instance_type(name).uses:
            sagemaker.setdefault(family, []).append(size)
    return [
        (
            family,
            machine.architecture.value if machine.os == "linux" else "",
            _ACCELERATORS[machine.accelerator.kind],
            _sizes(ec2.get(family, ())),
            _sizes(sagemaker.get(family, ())),
        )
        for family in sorted({*ec2, *sagemaker})
        for machine in (get_family(family),)
    ]


def _sizes(sizes: Iterable[str]) -> str:
    return " ".join(sizes)
