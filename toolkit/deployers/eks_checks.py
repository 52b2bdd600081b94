"""Whether a workload can start on its nodes, and what whoever applies it has to know."""

import re
from collections.abc import Iterator

from toolkit.deployers.checks import Check, Instead, check_machine, failed, not_checked, passed
from toolkit.deployers.eks import Workload
from toolkit.errors import UsageError

# Whose pods fail when the scheduler gives them devices that are not neighbours: aws-neuron-sdk issue 110.
_CONTIGUOUS = ("inf1.6xlarge", "inf1.24xlarge")


def checks(workload: Workload, *, instead: Instead) -> tuple[Check, ...]:
    """Whether the image runs on the machine and the machine has what a pod asks for."""
    return (
        *check_machine(workload.image, workload.machine, instead=instead),
        *_check_devices(workload),
        *_check_room(workload),
    )


def _check_devices(workload: Workload) -> Iterator[Check]:
    there = workload.machine.accelerator.count
    if workload.device and there is not None:
        name = f"devices of {workload.machine.name}"
        said = f"{workload.machine.name} has {there:g} of {workload.device}"
        if workload.devices > there:
            yield failed(
                name,
                f"{said}, and each pod asks for {workload.devices}: none would ever start",
                f"Ask for no more: --devices {there:g}",
            )
        else:
            yield passed(name, f"{said}, each pod asks for {workload.devices}")


_UNITS = {"": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_QUANTITY = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>m|k|M|G|Ki|Mi|Gi)?")


def _quantity(text: str) -> float:
    """https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/"""
    found = _QUANTITY.fullmatch(text)
    if not found:
        raise UsageError(f"{text!r} is no quantity", remedy="Write it like 500m, 2 or 4Gi.")
    return float(found["number"]) * _UNITS[found["unit"] or ""]


def _check_room(workload: Workload) -> Iterator[Check]:
    """Kubernetes and its system take a part of a node too: what just fits here may still not fit there."""
    asked, machine = workload.resources, workload.machine
    memory = machine.memory_mib * 2**20 if machine.memory_mib else None
    for what, request, limit, there, shown in (
        ("vCPU", asked.cpu, asked.cpu_limit, machine.vcpus, f"{machine.vcpus}"),
        ("memory", asked.memory, asked.memory_limit, memory, f"{(machine.memory_mib or 0) / 1024:g}Gi"),
    ):
        name, option = f"{what} of {machine.name}", "cpu" if what == "vCPU" else "memory"
        if _quantity(request) > _quantity(limit):
            raise UsageError(
                f"a pod cannot be given {request} of {what} and no more than {limit}",
                remedy=f"Raise the limit: --{option}-limit {request}",
            )
        if there is None:
            yield not_checked(name, f"nothing here knows how much {what} {machine.name} has")
        elif _quantity(request) > there:
            said = f"{machine.name} has {shown} of {what}, and each pod asks for {request}"
            yield failed(name, f"{said}: none would ever start", f"Ask for less: --{option} {shown}")
        else:
            yield passed(name, f"{machine.name} has {shown} of {what}, each pod asks for {request}")


def notes(workload: Workload) -> tuple[str, ...]:
    """Sentences for whoever applies it."""
    found = list(workload.server.notes)
    if workload.device and workload.devices > 1 and workload.machine.name in _CONTIGUOUS:
        found.append(
            f"a pod with {workload.devices} Neuron devices fails to start on {workload.machine.name} when "
            "the scheduler picks devices that are not neighbours: install Neuron's scheduler extension"
        )
    if workload.server.unpacks_model and workload.model_data:
        found.append(
            "the model is fetched before the container starts: the role of the nodes, or that of "
            "--service-account, needs s3:GetObject on it"
        )
    return tuple(found)
