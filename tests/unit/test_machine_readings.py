"""What engines, kernels and clients say is read into facts."""

import pytest

from toolkit.errors import NeedNotMet
from toolkit.machine.facts import Registry, RegistryAnswer
from toolkit.machine.readings import (
    lookup_credential,
    parse_builder,
    parse_emulator,
    parse_engine,
    parse_version,
)
from toolkit.machine.record import (
    DirectoryMade,
    EmulatorRegistered,
    FileWritten,
    GroupMade,
    Mounted,
    NetworkTouched,
    PackagesInstalled,
    ProcessStarted,
    ServiceStarted,
    SetupRecord,
    UserMade,
)
from toolkit.oci import Architecture

MAGIC_ARM64 = "7f454c460201010000000000000000000200b700"
ENTRY = f"enabled\ninterpreter /usr/bin/qemu\nflags: POF\noffset 0\nmagic {MAGIC_ARM64}\nmask ff\n"
INSPECT = """\
Name:          two
Driver:        remote
Last Activity: now

Nodes:
Name:      two0
Platforms: linux/amd64*, linux/386, linux/amd64/v2
Name:      two1
Platforms: linux/arm64, linux/arm/v7
"""


def test_an_emulator_is_told_by_the_elf_header_it_matches_not_by_its_name() -> None:
    emulator = parse_emulator(ENTRY)
    assert emulator is not None
    assert (emulator.architecture, emulator.is_fixed) == (Architecture.ARM64, True)


@pytest.mark.parametrize(
    "text", [ENTRY.replace("enabled", "disabled"), ENTRY.replace("b700", "f300"), "enabled\n", ""]
)
def test_other_entries_of_the_kernel_are_no_emulators_of_ours(text: str) -> None:
    assert parse_emulator(text) is None


def test_an_emulator_without_flag_f_is_not_fixed() -> None:
    emulator = parse_emulator(ENTRY.replace("POF", "PO"))
    assert emulator is not None
    assert not emulator.is_fixed


def test_the_image_store_is_read_from_the_driver_status() -> None:
    info = {
        "ServerVersion": "26.1.5",
        "Architecture": "aarch64",
        "DriverStatus": [["driver-type", "overlay2"]],
    }
    assert not parse_engine(info).has_image_store
    assert parse_engine(info).architecture == "arm64"
    with_store = info | {"DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}
    assert parse_engine(with_store).has_image_store


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-3", (0, 13, 1)),
        ("github.com/docker/buildx v0.29.1-desktop.1 abc", (0, 29, 1)),
        ("", ()),
    ],
)
def test_buildx_tells_its_version_in_several_spellings(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


def test_a_builders_nodes_keep_the_order_of_their_platforms() -> None:
    builder = parse_builder(INSPECT)
    assert builder is not None
    assert [node.architectures for node in builder.nodes] == [("amd64", "386"), ("arm64", "arm")]
    assert parse_builder("ERROR: no builder") is None


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"auths": {"https://registry.example/v2/": {"auth": "…"}}}, "the docker configuration"),
        ({"auths": {"registry.example": {}}, "credsStore": "pass"}, "docker-credential-pass"),
        ({"credHelpers": {"registry.example": "ecr-login"}}, "docker-credential-ecr-login"),
        ({"auths": {"other.example": {}}, "credsStore": "pass"}, None),
        ({}, None),
    ],
)
def test_a_credential_is_found_where_docker_would_find_it(
    settings: dict[str, object], found: str | None
) -> None:
    assert lookup_credential(settings, "registry.example") == found


@pytest.mark.parametrize(
    ("address", "host", "port", "is_local"),
    [
        ("localhost:5000", "localhost", 5000, True),
        ("127.0.0.2:5001", "127.0.0.2", 5001, True),
        ("[::1]:5000", "[::1]", 5000, True),
        ("registry.example", "registry.example", None, False),
        ("localhost.example:443", "localhost.example", 443, False),
    ],
)
def test_a_registry_is_local_when_docker_takes_it_for_local(
    address: str, host: str, port: int | None, is_local: bool
) -> None:
    registry = Registry(address=address, answer=RegistryAnswer.NOTHING)
    assert (registry.host, registry.port, registry.is_local) == (host, port, is_local)


def test_a_record_survives_being_written_and_read() -> None:
    record = SetupRecord(
        changes=(
            FileWritten(path="/a", before=None, after="x"),
            DirectoryMade(path="/b", whole=True),
            PackagesInstalled(packages=("p", "q")),
            UserMade(name="u"),
            GroupMade(name="g"),
            Mounted(target="/m"),
            EmulatorRegistered(name="qemu"),
            ProcessStarted(name="d", command=("d", "-x"), pid=1, started=2, boot="b"),
            NetworkTouched(forwarding="0", bridge=False),
            ServiceStarted(service="docker"),
        )
    )
    assert SetupRecord.parse(record.dump()) == record


def test_what_stood_before_is_what_stood_the_first_time() -> None:
    first = FileWritten(path="/a", before="theirs", after="v1")
    record = SetupRecord().adding(first).adding(FileWritten(path="/a", before="v1", after="v2"))
    assert record.changes == (FileWritten(path="/a", before="theirs", after="v2"),)


def test_a_process_started_again_is_known_by_its_last_number() -> None:
    again = ProcessStarted(name="d", command=("d",), pid=9, started=1, boot="b")
    record = SetupRecord().adding(ProcessStarted(name="d", command=("d",))).adding(again)
    assert record.changes == (again,)


@pytest.mark.parametrize("text", ["[]", "{}", '{"schema_version": 2, "changes": []}', "no"])
def test_a_record_of_another_kind_is_refused(text: str) -> None:
    with pytest.raises(NeedNotMet, match="record of set-up"):
        SetupRecord.parse(text)
