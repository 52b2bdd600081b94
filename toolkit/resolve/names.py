"""From the URI of one of AWS's images back to what its name says."""

import re
from dataclasses import dataclass
from functools import cache

from toolkit.hardware import AcceleratorKind
from toolkit.oci import Architecture, Reference
from toolkit.record import account_and_region
from toolkit.regions import image_families
from toolkit.resolve.candidates import architecture_of


@dataclass(frozen=True, kw_only=True)
class AwsImage:
    """`accelerator` is None where neither repository nor tag says it: `sagemaker-xgboost:1.7-1`.

    `architecture` is None for an image by digest alone, unless its repository is one for arm64: XGBoost's
    and scikit-learn's have both, by tag. `framework` is "" where the repository is not named after one;
    `version` is the tag's first part.
    """

    architecture: Architecture | None
    accelerator: AcceleratorKind | None
    framework: str
    version: str


# A word of repository or tag, between hyphens; the first that is found decides. The SDK's `inf` and `trn`
# images are Neo's for Inf1 and Neuron's for Trn1, and Trn1 runs what Inf2 does.
_KINDS = {
    "eia": AcceleratorKind.EIA,
    "neuronx": AcceleratorKind.NEURONX,
    "trn": AcceleratorKind.NEURONX,
    "neuron": AcceleratorKind.NEURON,
    "inf": AcceleratorKind.NEURON,
    "gpu": AcceleratorKind.GPU,
    "cpu": AcceleratorKind.NONE,
}
# AWS's repositories: pytorch-inference-graviton, huggingface-pytorch-training, sagemaker-tensorflow-eia.
_REPOSITORY = re.compile(
    r"(?:sagemaker-)?(?P<framework>[a-z]+(?:-[a-z]+)*?)(?:-(?:inference|training|eia)\b.*)?"
)
_VERSION = re.compile(r"\d[\w.]*")


def lookup_aws_image(reference: Reference) -> AwsImage | None:
    """What the name of an image in one of AWS's own accounts says; None for anyone else's."""
    account, region = account_and_region(reference.registry)
    if (account, region) not in _accounts():
        return None
    words = re.sub(r"-cu\d+\b", "-gpu", f"{reference.repository}-{reference.tag}").split("-")
    # The first Neuron images for training are Trn1's: https://github.com/aws/deep-learning-containers
    kind = next((kind for word, kind in _KINDS.items() if word in words), None)
    if kind is AcceleratorKind.NEURON and "training" in words:
        kind = AcceleratorKind.NEURONX
    named = _REPOSITORY.fullmatch(reference.repository)
    version = _VERSION.match(reference.tag)
    architecture = architecture_of(reference.repository, reference.tag)
    is_told = bool(reference.tag) or architecture is Architecture.ARM64
    return AwsImage(
        architecture=architecture if is_told else None,
        accelerator=kind,
        framework=named["framework"] if named else "",
        version=version[0] if version else "",
    )


@cache
def _accounts() -> frozenset[tuple[str, str]]:
    return frozenset(
        (account, region) for accounts in image_families().values() for region, account in accounts.items()
    )
