"""What must be true of image and machine before the first call, each with its outcome."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
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
    """`detail` is a sentence: what was compared, or why it was not; `remedy` mends what failed."""

    name: str
    outcome: Outcome
    detail: str
    remedy: str = ""

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value}


def passed(name: str, detail: str) -> Check:
    return Check(name=name, outcome=Outcome.PASSED, detail=detail)


def failed(name: str, detail: str, remedy: str = "") -> Check:
    return Check(name=name, outcome=Outcome.FAILED, detail=detail, remedy=remedy)


def not_checked(name: str, detail: str) -> Check:
    return Check(name=name, outcome=Outcome.NOT_CHECKED, detail=detail)


# Image and instance type that do not fit → a sentence that names the image to use there.
Instead = Callable[[DeployableImage, str], str]


def check_machine(
    image: DeployableImage,
    machine: InstanceType,
    *,
    instead: Instead,
    attached: AcceleratorKind | None = None,
) -> tuple[Check, ...]:
    """Whether the image's architecture and accelerator are those of the machine.

    `attached` is an accelerator that comes over the network, in place of the machine's own.
    """
    found = (_check_architecture(image, machine), _check_accelerator(image, machine, attached))
    return tuple(
        replace(each, remedy=instead(image, machine.name)) if each.outcome is Outcome.FAILED else each
        for each in found
    )


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


_HAS = {AcceleratorKind.NONE: "no accelerator", AcceleratorKind.GPU: "GPUs"}
_FOR = {AcceleratorKind.NONE: "CPUs alone", AcceleratorKind.GPU: "GPUs"}


def _check_accelerator(
    image: DeployableImage, machine: InstanceType, attached: AcceleratorKind | None
) -> Check:
    name, kind = f"accelerator on {machine.name}", attached or machine.accelerator.kind
    said = f"{machine.name} has {_HAS.get(kind, f'an accelerator of kind {kind}')}"
    if image.accelerator is None:
        return not_checked(name, f"{said}; the name of {image.uri} does not say what it is for")
    wanted = _FOR.get(image.accelerator, f"an accelerator of kind {image.accelerator}")
    if kind is image.accelerator:
        return passed(name, f"{said}, and {image.uri} is for {wanted}")
    return failed(name, f"{said}, but {image.uri} is for {wanted}")


def ensure_passed(checks: Sequence[Check]) -> None:
    """Raises DeploymentRefused with every check that failed; what was not checked passes."""
    wrong = [check for check in checks if check.outcome is Outcome.FAILED]
    if wrong:
        remedies = dict.fromkeys(check.remedy for check in wrong if check.remedy)
        raise DeploymentRefused("\n".join(check.detail for check in wrong), remedy="\n  ".join(remedies))
