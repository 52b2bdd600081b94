"""What machine an ELF file is for, read from its header alone.

Kinds of ELF file are not told apart: an executable, a shared object, a relocatable object and a core
dump each belong to one machine. Sources: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html,
the machine numbers of https://www.sco.com/developers/gabi/latest/ch4.eheader.html and of LLVM's ELF.h.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

MAGIC = b"\x7fELF"

# Length of the header by class: bytes that any loader reads before it does anything else.
_HEADER_SIZE = {32: 52, 64: 64}
HEAD_SIZE = max(_HEADER_SIZE.values())

# What `elf_name` answers for a file that starts with the magic but cannot be loaded.
MALFORMED = "malformed"


@dataclass(frozen=True, kw_only=True)
class ElfTarget:
    """The machine (e_machine), class (word size in bits) and byte order that a file was made for."""

    machine: int
    bits: Literal[32, 64]
    byte_order: Literal["little", "big"] = "little"


# Go's names of architectures, as the OCI specification has them: https://go.dev/doc/install/source#environment
ARCHITECTURES: Mapping[str, ElfTarget] = MappingProxyType(
    {
        "386": ElfTarget(machine=3, bits=32),
        "amd64": ElfTarget(machine=62, bits=64),
        "arm": ElfTarget(machine=40, bits=32),
        "armbe": ElfTarget(machine=40, bits=32, byte_order="big"),
        "arm64": ElfTarget(machine=183, bits=64),
        "arm64be": ElfTarget(machine=183, bits=64, byte_order="big"),
        "loong64": ElfTarget(machine=258, bits=64),
        "mips": ElfTarget(machine=8, bits=32, byte_order="big"),
        "mipsle": ElfTarget(machine=8, bits=32),
        "mips64": ElfTarget(machine=8, bits=64, byte_order="big"),
        "mips64le": ElfTarget(machine=8, bits=64),
        "ppc": ElfTarget(machine=20, bits=32, byte_order="big"),
        "ppc64": ElfTarget(machine=21, bits=64, byte_order="big"),
        "ppc64le": ElfTarget(machine=21, bits=64),
        "riscv": ElfTarget(machine=243, bits=32),
        "riscv64": ElfTarget(machine=243, bits=64),
        "s390": ElfTarget(machine=22, bits=32, byte_order="big"),
        "s390x": ElfTarget(machine=22, bits=64, byte_order="big"),
        "sparc": ElfTarget(machine=2, bits=32, byte_order="big"),
        "sparc64": ElfTarget(machine=43, bits=64, byte_order="big"),
    }
)

_NAMES = {target: name for name, target in ARCHITECTURES.items()}

# Machines that no image is labelled with but whose files are found in images, mostly as data of a GPU,
# of the kernel or of a debugger's tests.
_OTHER_MACHINES = {
    4: "m68k",
    15: "parisc",
    42: "sh",
    50: "ia64",
    83: "AVR",
    94: "Xtensa",
    113: "Nios II",
    164: "Hexagon",
    189: "MicroBlaze",
    190: "CUDA",
    195: "ARC",
    224: "AMDGPU",
    247: "BPF",
    252: "C-SKY",
    0x9026: "alpha",
}


def parse_target(head: bytes) -> ElfTarget | None:
    """The target of a file that starts with `head` (its first 64 bytes, fewer if the file is shorter).

    None when it is no ELF file. Raises ValueError when it has the magic but no complete header with a
    known class and byte order: such a file is data, no loader takes it.
    """
    if not head.startswith(MAGIC):
        return None
    if len(head) < 6 or head[4] not in (1, 2) or head[5] not in (1, 2):
        raise ValueError("the ELF header has no known class and byte order")
    bits: Literal[32, 64] = 32 if head[4] == 1 else 64
    byte_order: Literal["little", "big"] = "little" if head[5] == 1 else "big"
    if len(head) < _HEADER_SIZE[bits]:
        raise ValueError(f"the file ends inside its ELF header of {_HEADER_SIZE[bits]} bytes")
    # e_machine stands at 18 in both classes, in the byte order that the file itself declares.
    return ElfTarget(machine=int.from_bytes(head[18:20], byte_order), bits=bits, byte_order=byte_order)


def target_name(target: ElfTarget) -> str:
    """Go's architecture name when machine, class and byte order are all that architecture's.

    Otherwise the machine and what is unusual about it: "CUDA", "amd64 (32-bit little-endian)",
    "machine 4711".
    """
    if name := _NAMES.get(target):
        return name
    if other := _OTHER_MACHINES.get(target.machine):
        return other
    shape = f"({target.bits}-bit {target.byte_order}-endian)"
    for name, known in ARCHITECTURES.items():
        if known.machine == target.machine:
            return f"{name} {shape}"
    return f"machine {target.machine}"


def elf_name(head: bytes) -> str:
    """`target_name` of the file that starts with `head`; "" for no ELF file, MALFORMED for a broken one."""
    try:
        target = parse_target(head)
    except ValueError:
        return MALFORMED
    return target_name(target) if target else ""
