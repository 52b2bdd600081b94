"""From an x86 instance type to Graviton: the type to move to."""

import re

from toolkit.hardware import AcceleratorKind, InstanceType, Use, get_instance_type, instance_type_names
from toolkit.oci import Architecture
from toolkit.resolve.request import Unresolvable

# c5d: series c, generation 5, attributes d; i and a are Intel and AMD, g is Graviton, no difference here.
# https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
_FAMILY = re.compile(r"(?P<series>[a-z]+)(?P<generation>\d+)(?P<attributes>[a-z]*)(-flex)?")
_PROCESSORS = frozenset("iag")


def get_graviton_type(name: str) -> InstanceType:
    """SageMaker's newest Graviton endpoint type of the same series and size, with the same attributes if any.

    Raises Unresolvable when there is none and InstanceTypeInvalid for no such name.
    """
    machine = get_instance_type(name)
    kind = machine.accelerator.kind
    ranked = [
        (rank, candidate)
        for candidate in map(get_instance_type, instance_type_names())
        if _is_endpoint_on_graviton(candidate)
        and candidate.size == machine.size
        and (rank := _rank(machine, candidate)) is not None
    ]
    if kind is not AcceleratorKind.NONE or not ranked:
        why = "" if kind is AcceleratorKind.NONE else f": its accelerator is of kind {kind}"
        raise Unresolvable(
            f"{name} has no counterpart among SageMaker's Graviton types{why}",
            remedy="See: toolkit instances 'ml.*' --architecture arm64 --use endpoint",
        )
    return max(ranked, key=lambda each: each[0])[1]


def _is_endpoint_on_graviton(machine: InstanceType) -> bool:
    return (
        machine.architecture is Architecture.ARM64
        and machine.accelerator.kind is AcceleratorKind.NONE
        and machine.name.startswith("ml.")
        and Use.ENDPOINT in machine.uses
    )


def _rank(machine: InstanceType, candidate: InstanceType) -> tuple[bool, int, int] | None:
    """Same attributes first, then the newest generation, then the plainest; None for another series."""
    ours, theirs = _FAMILY.fullmatch(machine.family.name), _FAMILY.fullmatch(candidate.family.name)
    if not ours or not theirs or ours["series"] != theirs["series"]:
        return None
    wanted, has = (set(each["attributes"]) - _PROCESSORS for each in (ours, theirs))
    return wanted == has, int(theirs["generation"]), -len(has)
