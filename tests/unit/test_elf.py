import platform

import pytest

from tests.images import ElfKind, elf, native_elf
from toolkit.layers.elf import ARCHITECTURES, MALFORMED, ElfTarget, elf_name, parse_target


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_every_architecture_of_the_table_is_read_back_from_its_header(architecture: str) -> None:
    assert elf_name(elf(architecture)) == architecture


def test_a_real_program_has_the_machine_it_runs_on() -> None:
    expected = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    assert elf_name(native_elf()[:64]) == expected


@pytest.mark.parametrize("kind", ["relocatable", "executable", "shared", "core"])
def test_the_kind_of_elf_file_makes_no_difference(kind: ElfKind) -> None:
    assert elf_name(elf("amd64", kind)) == "amd64"


@pytest.mark.parametrize(
    ("machine", "name"), [(190, "CUDA"), (247, "BPF"), (224, "AMDGPU"), (4711, "machine 4711")]
)
def test_machines_that_no_image_is_labelled_with_have_names_too(machine: int, name: str) -> None:
    assert elf_name(elf(ElfTarget(machine=machine, bits=64))) == name


def test_the_right_machine_with_another_class_or_byte_order_is_not_the_architecture() -> None:
    assert elf_name(elf(ElfTarget(machine=62, bits=32))) == "amd64 (32-bit little-endian)"
    assert elf_name(elf(ElfTarget(machine=22, bits=64))) == "s390 (64-bit little-endian)"


def test_the_machine_is_read_in_the_byte_order_of_the_file() -> None:
    assert parse_target(elf("s390x")) == ElfTarget(machine=22, bits=64, byte_order="big")


@pytest.mark.parametrize("content", [b"", b"\x7fEL", b"#!/bin/sh\n", b"MZ\x90\0"])
def test_other_content_is_no_elf_file(content: bytes) -> None:
    assert parse_target(content) is None
    assert elf_name(content) == ""


@pytest.mark.parametrize(
    "content",
    [b"\x7fELF", elf("arm64")[:63], elf("386")[:51], b"\x7fELF\3\1" + bytes(60), b"\x7fELF\2\0" + bytes(60)],
    ids=["magic alone", "cut in 64-bit header", "cut in 32-bit header", "no class", "no byte order"],
)
def test_the_magic_without_a_whole_header_is_malformed(content: bytes) -> None:
    assert elf_name(content) == MALFORMED


def test_what_is_wrong_with_a_malformed_header_is_said() -> None:
    with pytest.raises(ValueError, match="ends inside its ELF header of 64 bytes"):
        parse_target(elf("arm64")[:63])
    with pytest.raises(ValueError, match="no known class and byte order"):
        parse_target(b"\x7fELF\3\1" + bytes(60))


def test_a_32_bit_file_of_just_its_header_is_whole() -> None:
    assert len(elf("386")) == 52
    assert elf_name(elf("386")) == "386"
