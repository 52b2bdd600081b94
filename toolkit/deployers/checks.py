"""What must be true of image and machine before the first call, each with its outcome."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from toolkit.deployers.image import DeployableImage
from toolkit.errors import DeploymentRefused
from toolkit.hardware import AcceleratorKind, InstanceType


class Outcome(StrEnum):
    """`not checked` is what needs credentials or is not known here; it is never taken for passed."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, kw_only=True)
class Check:
    """`detail` is a sentence: what was compared, or why it was not."""

    name: str
    outcome: Outcome
    detail: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def passed(name: str, detail: str) -> Check:
    return Check(name=name, outcome=Outcome.PASSED, detail=detail)


def failed(name: str, detail: str) -> Check:
    return Check(name=name, outcome=Outcome.FAILED, detail=detail)


def not_checked(name: str, detail: str) -> Check:
    return Check(name=name, outcome=Outcome.NOT_CHECKED, detail=detail)


def check_machine(image: DeployableImage, machine: InstanceType) -> tuple[Check, ...]:
    """Whether the image's architecture and accelerator are those of the machine."""
    return (_check_architecture(image, machine), _check_accelerator(image, machine))


def _check_architecture(image: DeployableImage, machine: InstanceType) -> Check:
    name = f"architecture on {machine.name}"
    said = f"{machine.name} is {machine.architecture}" + (
        f" by {machine.source.title}" if machine.assumed else ""
    )
    if not image.architectures:
        return not_checked(name, f"{said}; nothing here knows the architecture of {image.uri}")
    those = " and ".join(image.architectures)
    if machine.family.os == "linux" and machine.architecture in image.architectures:
        return passed(name, f"{said}, and {image.uri} is {those} by {image.origin}")
    what = said if machine.family.os == "linux" else f"{machine.name} runs {machine.family.os}"
    return failed(name, f"{what}, but {image.uri} is {those} by {image.origin}")


_NAMES = {AcceleratorKind.NONE: "no accelerator", AcceleratorKind.GPU: "GPUs"}


def _check_accelerator(image: DeployableImage, machine: InstanceType) -> Check:
    name, kind = f"accelerator on {machine.name}", machine.accelerator.kind
    said = f"{machine.name} has {_NAMES.get(kind, f'an accelerator of kind {kind}')}"
    if image.accelerator is None:
        return not_checked(name, f"{said}; the name of {image.uri} does not say what it is for")
    wanted = _NAMES.get(image.accelerator, f"an accelerator of kind {image.accelerator}")
    if kind is image.accelerator:
        return passed(name, f"{said}, and {image.uri} is for {wanted}")
    return failed(name, f"{said}, but {image.uri} is for {wanted}")


def ensure_passed(checks: Sequence[Check], *, remedies: Iterable[str]) -> None:
    """Raises DeploymentRefused with every check that failed; what was not checked passes."""
    wrong = [check.detail for check in checks if check.outcome is Outcome.FAILED]
    if wrong:
        raise DeploymentRefused("\n".join(wrong), remedy="\n  ".join(dict.fromkeys(remedies)))
