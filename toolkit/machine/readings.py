"""What engines, kernels and clients say about themselves, read into facts."""

import re
from collections.abc import Mapping
from typing import Any

from toolkit.machine.facts import Builder, BuilderNode, Emulator, Engine
from toolkit.oci import Architecture

# Both spellings: the kernel's and Go's.
ARCHITECTURES = {name: known for known in Architecture for name in (known.uname, known.value)}
# e_machine: two bytes at offset 18 of an ELF file, so of a binfmt_misc magic. elf(5)
_ELF_MACHINES = {"3e00": Architecture.AMD64, "b700": Architecture.ARM64}
_MACHINE_DIGITS = slice(36, 40)


def parse_engine(info: Mapping[str, Any]) -> Engine:
    """The engine's GET /info. Raises KeyError without ServerVersion.

    https://docs.docker.com/reference/api/engine/version/v1.45/#tag/System/operation/SystemInfo
    """
    machine = str(info.get("Architecture"))
    statuses = info.get("DriverStatus") or []
    return Engine(
        version=str(info["ServerVersion"]),
        architecture=str(ARCHITECTURES.get(machine, machine)),
        name=str(info.get("OperatingSystem")),
        root=str(info.get("DockerRootDir")),
        has_image_store=any("io.containerd.snapshotter.v1" in status for status in statuses),
    )


def parse_version(text: str) -> tuple[int, ...]:
    """The first A.B.C in `docker buildx version`; empty when there is none."""
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
    return tuple(int(part) for part in match.groups()) if match else ()


def parse_builder(text: str) -> Builder | None:
    """The output of `docker buildx inspect`; None when it is not that."""
    fields = dict(re.findall(r"^(Name|Driver):\s*(\S+)", text.partition("Nodes:")[0], re.MULTILINE))
    if "Driver" not in fields:
        return None
    lines = re.findall(r"^Platforms:(.*)$", text, re.MULTILINE)
    names = (tuple(dict.fromkeys(re.findall(r"linux/(\w+)", line))) for line in lines)
    return Builder(
        name=fields.get("Name", ""),
        driver=fields["Driver"],
        nodes=tuple(BuilderNode(architectures=architectures) for architectures in names),
    )


def parse_emulator(text: str) -> Emulator | None:
    """A binfmt_misc entry, told by the ELF header it matches as its name is anyone's choice.

    None for a disabled one and for what is no emulator of an architecture of ours.
    """
    fields = dict(re.findall(r"^(interpreter|flags:|magic) ?(.*)$", text, re.MULTILINE))
    architecture = _ELF_MACHINES.get(fields.get("magic", "")[_MACHINE_DIGITS])
    if architecture is None or not text.startswith("enabled"):
        return None
    return Emulator(
        architecture=architecture,
        interpreter=fields.get("interpreter", ""),
        is_fixed="F" in fields.get("flags:", ""),
    )


def lookup_credential(settings: Mapping[str, Any], address: str) -> str | None:
    """Where the docker configuration has a credential for `address`; it is not read.

    https://docs.docker.com/reference/cli/docker/login/#credential-stores
    """
    helpers = settings.get("credHelpers") or {}
    if address in helpers:
        return f"docker-credential-{helpers[address]}"
    hosts = {re.sub(r"^https?://|/.*$", "", key) for key in settings.get("auths") or {}}
    if address in hosts:
        store = settings.get("credsStore")
        return f"docker-credential-{store}" if store else "the docker configuration"
    return None
