"""The release in the shape of the SageMaker SDK's image_uri_config, for the SDK's own `retrieve`.

As sagemaker/image_uris.py of SDK 2.257 reads it: a framework's configuration has scopes, a scope versions, a
version an entry for each Python; a tag is PREFIX-PROCESSOR-PYTHON-CONTAINER_VERSION, and the registry is the
ECR of an account in a region.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from toolkit.record import PublishedImage, ReleaseRecord
from toolkit.regions import RegionUnknown, ecr_host


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where the SDK looks for images of an accelerator and architecture.

    `word` stands in the tag after the version; `processors` are what `retrieve` makes of an instance type.
    `frameworks` are those for which it looks there at all, () for every one.
    """

    suffix: str = ""
    scope: str = "inference"
    word: str
    processors: tuple[str, ...]
    frameworks: tuple[str, ...] = ()


# The frameworks are the SDK's GRAVITON_ALLOWED_FRAMEWORKS, less the two whose arm64 tags stand in its code,
# and its TRAINIUM_ALLOWED_FRAMEWORKS.
_PLACES = {
    ("cpu", "amd64"): _Place(word="cpu", processors=("cpu",)),
    ("cpu", "arm64"): _Place(
        scope="inference_graviton", word="cpu", processors=("cpu",), frameworks=("pytorch", "tensorflow")
    ),
    ("cuda", "amd64"): _Place(word="gpu", processors=("gpu",)),
    ("eia", "amd64"): _Place(scope="eia", word="cpu", processors=("cpu",)),
    ("neuron", "amd64"): _Place(
        suffix="-neuron", word="neuron", processors=("inf", "trn"), frameworks=("pytorch",)
    ),
    ("neuronx", "amd64"): _Place(
        suffix="-neuronx", word="neuronx", processors=("inf", "trn"), frameworks=("pytorch",)
    ),
}


Config = dict[str, Any]


def to_config(record: ReleaseRecord) -> str:
    """A JSON object: the name that the SDK's `config_for_framework` is called with → a configuration."""
    documents, _ = _configs(record)
    return json.dumps(documents, indent=2, ensure_ascii=False) + "\n"


def left_out(record: ReleaseRecord) -> tuple[str, ...]:
    return _configs(record)[1]


def _configs(record: ReleaseRecord) -> tuple[dict[str, Config], tuple[str, ...]]:
    documents: dict[str, Config] = {}
    faults = [f"{image.identifier}: {fault}" for image in record.images if (fault := _add(image, documents))]
    for document in documents.values():
        for scope in document.values():
            scope["version_aliases"] = _aliases(scope["versions"])
    return documents, tuple(faults)


def _add(image: PublishedImage, documents: dict[str, Config]) -> str:
    """Put the image into its configuration. What is returned is why it cannot be, "" when it was."""
    place = _PLACES.get((image.accelerator, image.architecture))
    if place is None or (place.frameworks and image.framework not in place.frameworks):
        return f"the SDK asks for no {image.accelerator} image of {image.framework} on {image.architecture}"
    if fault := _not_for_the_sdk(image):
        return fault
    python = f"py{image.python.replace('.', '')}"
    parts = re.fullmatch(rf"(?P<prefix>.+?)-{place.word}-{python}-(?P<rest>.+)", image.tag)
    if parts is None:
        return f"the SDK makes tags like VERSION-{place.word}-{python}-OS, and this one is {image.tag}"
    document = documents.setdefault(f"{image.framework}{place.suffix}", {})
    versions = document.setdefault(place.scope, {"versions": {}})["versions"]
    names = {"repository": image.repository, "tag_prefix": parts["prefix"]}
    fresh: Config = {**names, "registries": {}, "processors": [], "container_version": {}}
    there: Config = versions.get(image.version, {}).get(python, fresh)
    rests = there["container_version"]
    if (
        any(there[key] != name for key, name in names.items())
        or there["registries"].get(image.region, image.account) != image.account
        or any(rests.get(each, parts["rest"]) != parts["rest"] for each in place.processors)
    ):
        what = f"{image.framework} {image.version} for {python} on {image.architecture}"
        return f"the SDK knows one image of {what}, and there is another"
    there["registries"][image.region] = image.account
    there["processors"] = sorted({*there["processors"], *place.processors})
    rests.update(dict.fromkeys(place.processors, parts["rest"]))
    versions.setdefault(image.version, {})[python] = there
    return ""


def _not_for_the_sdk(image: PublishedImage) -> str:
    if image.consumer != "sagemaker":
        return f"it is for {image.consumer}, and the SDK's images are for SageMaker"
    try:
        is_ecr = bool(image.account) and ecr_host(image.account, image.region) == image.registry
    except RegionUnknown:
        is_ecr = False
    if not is_ecr:
        return f"the SDK makes URIs of ECR only, and {image.registry} is another registry"
    if image.repository == f"{image.framework}-inference-graviton":
        return f"the SDK adds -sagemaker to every tag of {image.repository}"
    return ""


def _aliases(versions: Config) -> dict[str, str]:
    """2.9 → the newest 2.9.x, where no version is called so."""
    ordered = sorted(versions, key=lambda version: [int(number) for number in re.findall(r"\d+", version)])
    aliases = {version.rpartition(".")[0]: version for version in ordered if version.count(".") == 2}
    return {alias: version for alias, version in aliases.items() if alias not in versions}
