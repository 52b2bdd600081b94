from pathlib import Path

import pytest

from tests.images import (
    ARM64,
    DOCKER,
    OCI,
    FakeImage,
    Item,
    directory,
    elf,
    layer,
    listed,
    packed,
    program,
    script,
    single,
    symlink,
    tar,
)
from toolkit.adapters.layout import OciLayout
from toolkit.catalog.model import Consumer
from toolkit.contracts import EKS, GENERIC, SAGEMAKER, Contract, contract_of
from toolkit.oci import MediaType, Platform
from toolkit.verify import Verification, verify_reference

SERVE = program("usr/local/bin/serve")


def verify(
    layout: OciLayout, contract: Contract = SAGEMAKER, *, platform: Platform | None = None
) -> Verification:
    (verification,) = verify_reference(layout, "", contract=contract, platform=platform)
    return verification


def failed(verification: Verification) -> dict[str, str]:
    return {check.name: check.sentence for check in verification.failures}


def started(verification: Verification) -> tuple[bool, str]:
    (check,) = (check for check in verification.checks if check.name == "entrypoint")
    return check.ok, check.detail


def test_every_consumer_has_its_contract() -> None:
    assert [contract_of(consumer).consumer for consumer in Consumer] == list(Consumer)


def test_an_image_with_serve_in_its_path_keeps_the_contract_of_sagemaker(tmp_path: Path) -> None:
    verification = verify(single(tmp_path, FakeImage(layers=[layer(SERVE)])))
    assert verification.ok
    assert started(verification) == (True, "`serve` starts /usr/local/bin/serve")


def test_oci_media_types_are_refused_for_sagemaker_with_the_source(tmp_path: Path) -> None:
    image = FakeImage(layers=[layer(SERVE, media_type=MediaType.OCI_LAYER_GZIP)], types=OCI)
    layout = single(tmp_path, image)
    sentence = failed(verify(layout))["media-types"]
    assert all(media_type in sentence for media_type in OCI)
    assert "amazon-sagemaker-feedback/issues/180" in sentence
    assert verify(layout, EKS).checks[3].ok
    assert verify(layout, GENERIC).ok


@pytest.mark.parametrize("media_type", [MediaType.DOCKER_LAYER, MediaType.OCI_LAYER_ZSTD])
def test_one_layer_that_is_not_dockers_gzip_is_refused_for_sagemaker(
    tmp_path: Path, media_type: MediaType
) -> None:
    image = FakeImage(layers=[layer(SERVE), packed(tar(directory("opt")), media_type)], types=DOCKER)
    assert failed(verify(single(tmp_path, image)))["media-types"].startswith(f"layer 2 is {media_type},")


def test_an_unknown_layer_type_is_refused_for_eks(tmp_path: Path) -> None:
    image = FakeImage(layers=[packed(tar(SERVE), "application/x-other+gzip")], entrypoint=["serve"])
    assert (
        "application/x-other+gzip, which eks does not take"
        in (failed(verify(single(tmp_path, image), EKS))["media-types"])
    )


def test_attestations_beside_the_image_are_refused_for_sagemaker_alone(tmp_path: Path) -> None:
    layout = listed(tmp_path, {ARM64: FakeImage(layers=[layer(SERVE)], entrypoint=["serve"])}, attestations=1)
    sentence = failed(verify(layout, platform=ARM64))["index"]
    assert "attestations stand beside the images (1): build with provenance=false" in sentence
    assert verify(layout, EKS).ok
    assert verify(layout, GENERIC).ok


def test_sagemaker_is_handed_one_image_and_not_the_list(tmp_path: Path) -> None:
    layout = listed(tmp_path, {ARM64: FakeImage(layers=[layer(SERVE)])})
    assert "hand it one platform's image by digest" in failed(verify(layout))["index"]
    assert verify(layout, platform=ARM64).ok


def entrypoint_of(
    root: Path,
    *items: Item,
    contract: Contract = SAGEMAKER,
    entrypoint: tuple[str, ...] = (),
    command: tuple[str, ...] = (),
    environment: tuple[str, ...] = (),
    working_directory: str = "",
) -> tuple[bool, str]:
    image = FakeImage(
        layers=[layer(*items)],
        entrypoint=entrypoint,
        command=command,
        environment=environment,
        working_directory=working_directory,
    )
    return started(verify(single(root, image), contract))


def test_missing_serve_is_said_with_the_path_that_was_searched(tmp_path: Path) -> None:
    ok, detail = entrypoint_of(
        tmp_path, Item("opt/serve", elf(), 0o755), environment=("A=b", "PATH=/bin:/sbin")
    )
    assert not ok
    assert detail == "`serve` cannot start: serve does not exist in PATH (/bin:/sbin)"


def test_serve_without_execute_permission_does_not_start(tmp_path: Path) -> None:
    ok, detail = entrypoint_of(tmp_path, Item("usr/bin/serve", elf(), 0o644))
    assert (ok, detail) == (False, "`serve` cannot start: /usr/bin/serve is not executable")


def test_a_later_directory_of_the_path_is_searched_too(tmp_path: Path) -> None:
    items = (Item("usr/bin/serve", elf(), 0o644), directory("sbin/serve"), program("bin/serve"))
    assert entrypoint_of(tmp_path, *items) == (True, "`serve` starts /bin/serve")


def test_the_interpreter_of_a_script_must_exist(tmp_path: Path) -> None:
    serve = script("usr/bin/serve", "/usr/bin/python3 -u")
    ok, detail = entrypoint_of(tmp_path / "without", serve)
    assert (ok, detail) == (False, "`serve` cannot start: /usr/bin/python3 does not exist")
    items = (serve, program("usr/bin/python3.9"), symlink("usr/bin/python3", "python3.9"))
    ok, detail = entrypoint_of(tmp_path / "with", *items)
    assert (ok, detail) == (True, "`serve` starts /usr/bin/serve by /usr/bin/python3.9")


def test_what_env_looks_for_must_exist_too(tmp_path: Path) -> None:
    items = (script("bin/serve", "/usr/bin/env -S PYTHONPATH=/opt python3 -u"), program("usr/bin/env"))
    ok, detail = entrypoint_of(tmp_path / "without", *items)
    assert not ok
    assert "python3 does not exist in PATH" in detail
    ok, detail = entrypoint_of(tmp_path / "with", *items, program("usr/local/bin/python3"))
    assert (ok, detail) == (True, "`serve` starts /bin/serve by /usr/bin/env by /usr/local/bin/python3")


def test_scripts_that_are_each_others_interpreter_do_not_start(tmp_path: Path) -> None:
    ok, detail = entrypoint_of(tmp_path, script("bin/serve", "/bin/a"), script("bin/a", "/bin/serve"))
    assert not ok
    assert "chain of more than 5 scripts" in detail


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (elf("amd64"), "a program for amd64"),
        (b"echo no interpreter\n", "neither an ELF program nor a #! script"),
        (b"#!\n", "neither an ELF program nor a #! script"),
        (b"\x7fELF", "an ELF file with a broken header"),
    ],
)
def test_what_the_kernel_cannot_execute_does_not_start(tmp_path: Path, content: bytes, what: str) -> None:
    ok, detail = entrypoint_of(tmp_path, Item("bin/serve", content, 0o755))
    assert (ok, detail) == (False, f"`serve` cannot start: /bin/serve is {what}")


def test_an_entrypoint_gets_serve_as_its_argument(tmp_path: Path) -> None:
    ok, detail = entrypoint_of(
        tmp_path / "absolute", program("opt/start"), entrypoint=("/opt/start", "--now"), command=("bash",)
    )
    assert (ok, detail) == (True, "`/opt/start --now serve` starts /opt/start")
    ok, detail = entrypoint_of(tmp_path / "missing", SERVE, entrypoint=("/opt/start",))
    assert (ok, detail) == (False, "`/opt/start serve` cannot start: /opt/start does not exist")


def test_a_relative_entrypoint_is_looked_for_in_the_working_directory(tmp_path: Path) -> None:
    ok, detail = entrypoint_of(
        tmp_path, program("opt/start"), entrypoint=("./start",), working_directory="/opt"
    )
    assert (ok, detail) == (True, "`./start serve` starts /opt/start")


def test_eks_starts_the_images_own_command(tmp_path: Path) -> None:
    ok, detail = entrypoint_of(tmp_path / "a", program("bin/run"), contract=EKS, command=("run", "--all"))
    assert (ok, detail) == (True, "`run --all` starts /bin/run")
    ok, detail = entrypoint_of(tmp_path / "b", program("bin/run"), contract=EKS)
    assert (ok, detail) == (False, "the image has neither an Entrypoint nor a Cmd")


def test_a_generic_image_need_not_start(tmp_path: Path) -> None:
    image = FakeImage(layers=[layer(Item("data", b"x"))], command=("/noop",))
    verification = verify(single(tmp_path, image), GENERIC)
    assert verification.ok
    assert "entrypoint" not in {check.name for check in verification.checks}
