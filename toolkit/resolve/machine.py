"""The instance type of a request, as far as an image must fit it."""

import re
from dataclasses import dataclass
from functools import lru_cache

from toolkit.hardware import AcceleratorKind, Family, get_family, get_instance_type
from toolkit.oci import Architecture
from toolkit.resolve.request import Unresolvable

# `local`, `local_gpu` and `neuron` name no machine: the SDK takes them for what they say.
_NO_MACHINE = re.compile(r"local|neuron")
# `ml_c6g` and `ml.c6g` stand for a family; the SDK accepts them and so do its callers.
_FAMILY_ALONE = re.compile(r"ml[._](?P<family>[a-z\d-]+)(?:_\w*)?")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """`family` is None where the name says nothing about the hardware (`local`).

    `sdk_name` is the spelling that the SDK takes: `ml.c7g` also for `c7g.xlarge` and metal sizes.
    """

    name: str
    family: Family | None

    @property
    def sdk_name(self) -> str:
        return f"ml.{self.family.name}" if self.family else self.name

    @property
    def kind(self) -> AcceleratorKind:
        return self.family.accelerator.kind if self.family else AcceleratorKind.NONE

    @property
    def is_common(self) -> bool:
        """An amd64 machine with or without GPUs: what the SDK takes every machine for."""
        return (
            self.family is not None
            and self.family.architecture is Architecture.AMD64
            and self.kind not in (AcceleratorKind.NEURON, AcceleratorKind.NEURONX)
        )

    def __str__(self) -> str:
        assert self.family
        reason = f" by {self.family.source.title}" if self.family.assumed else ""
        return f"{self.name} is {self.family.architecture}{reason}"


@lru_cache(maxsize=4096)
def get_machine(name: str) -> Machine:
    """Raises InstanceTypeInvalid for a name of no instance type and Unresolvable for an Apple machine."""
    if _NO_MACHINE.match(name):
        return Machine(name=name, family=None)
    alone = _FAMILY_ALONE.fullmatch(name)
    family = get_family(alone["family"]) if alone else get_instance_type(name).family
    if family.os != "linux":
        raise Unresolvable(
            f"{name} runs {family.os}: it runs no Linux images",
            remedy="Name the instance type of a Linux machine, like c7g.xlarge.",
        )
    return Machine(name=name, family=family)
