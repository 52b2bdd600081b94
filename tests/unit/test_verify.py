import gzip
import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.images import (
    AMD64,
    ARM64,
    FakeImage,
    Item,
    Layer,
    elf,
    hard_link,
    image_of,
    layer,
    listed,
    native_elf,
    opaque,
    program,
    single,
    symlink,
    tar,
    whiteout,
)
from toolkit.adapters.layout import LayoutWriter, OciLayout
from toolkit.blobs import BlobCorrupt
from toolkit.catalog.model import ForeignElf
from toolkit.contracts import GENERIC, Contract
from toolkit.errors import VerificationFailed
from toolkit.layers.elf import ElfTarget
from toolkit.layers.installed import Package, PackageKind
from toolkit.layers.scan import LayerScan
from toolkit.oci import Descriptor, Digest, Index, Manifest, MediaType, Platform, make_manifest
from toolkit.verify import MemoryScans, Verification, ensure_verified, summary_lines, verify_reference

LIBRARIES = [program(f"usr/lib/{name}.so") for name in "abc"]


def verify(
    layout: OciLayout,
    *,
    platform: Platform | None = None,
    contract: Contract = GENERIC,
    foreign_elf: tuple[ForeignElf, ...] = (),
) -> Verification:
    """The only image of a layout."""
    (verification,) = verify_reference(
        layout, "", platform=platform, contract=contract, foreign_elf=foreign_elf
    )
    return verification


def failed(verification: Verification) -> dict[str, str]:
    """Name of each failed check → its sentence."""
    return {check.name: check.sentence for check in verification.failures}


def detail(verification: Verification, name: str) -> str:
    (check,) = (check for check in verification.checks if check.name == name)
    return check.detail


def test_an_image_that_is_what_it_says_passes(tmp_path: Path) -> None:
    verification = verify(single(tmp_path, image_of(*LIBRARIES)), platform=ARM64)
    assert verification.ok
    assert [check.name for check in verification.checks] == ["label", "elf", "layers", "media-types"]
    assert (verification.platform, verification.elf_files) == (ARM64, 3)
    assert summary_lines(verification) == (
        f"ok {verification.digest[:19]} label=linux/arm64, 3 of 3 ELF files are arm64",
    )


def test_a_right_label_over_wrong_programs_is_a_lie(tmp_path: Path) -> None:
    items = [*LIBRARIES, *(program(f"usr/bin/{number:02}", "amd64") for number in range(14))]
    verification = verify(single(tmp_path, image_of(*items)))
    assert not verification.ok
    assert summary_lines(verification) == (
        f"FAILED {verification.digest[:19]} label=linux/arm64, 14 of 17 ELF files are amd64: "
        + ", ".join(f"/usr/bin/{number:02}" for number in range(10))
        + " and 4 more",
    )
    (check,) = verification.failures
    assert (len(check.paths), check.count) == (10, 14)


def test_a_real_program_of_this_machine_under_another_label_is_a_lie(tmp_path: Path) -> None:
    label = Platform("linux", "s390x")
    verification = verify(single(tmp_path, image_of(Item("bin/true", native_elf(), 0o755), platform=label)))
    assert "1 of 1 ELF files is" in failed(verification)["elf"]


@pytest.mark.parametrize(
    "lie",
    [
        Item("usr/lib/d.so", elf("amd64", "shared")),
        Item("usr/lib/d.o", elf("amd64", "relocatable")),
        Item("usr/bin/static", elf("amd64", "executable"), 0o755),
        Item("var/core", elf("amd64", "core"), 0o600),
        Item("usr/lib/x32.so", elf(ElfTarget(machine=62, bits=32))),
        Item("usr/lib/big.so", elf("arm64be")),
    ],
    ids=["shared", "relocatable", "static", "core", "class", "byte order"],
)
def test_one_wrong_file_among_right_ones_is_found(tmp_path: Path, lie: Item) -> None:
    verification = verify(single(tmp_path, image_of(*LIBRARIES, lie)))
    sentence = failed(verification)["elf"]
    assert sentence.startswith("1 of 4 ELF files is ")
    assert sentence.endswith(f": /{lie.path}")


WRONG = program("usr/lib/wrong.so", "amd64")


@pytest.mark.parametrize(
    "above",
    [
        [whiteout("usr/lib/wrong.so")],
        [whiteout("usr/lib")],
        [opaque("usr/lib")],
        [program("usr/lib/wrong.so", "arm64")],
        [symlink("usr/lib/wrong.so", "a.so")],
        [Item("usr", b"a file now")],
    ],
    ids=["deleted", "directory deleted", "opaque", "replaced", "made a link", "directory replaced"],
)
def test_a_wrong_file_that_a_later_layer_takes_away_is_fine(tmp_path: Path, above: list[Item]) -> None:
    image = FakeImage(layers=[layer(WRONG), layer(*above, program("opt/right"))])
    assert verify(single(tmp_path, image)).ok


@pytest.mark.parametrize(
    ("below", "above", "path"),
    [
        ([WRONG], [hard_link("usr/lib/kept.so", "usr/lib/wrong.so"), whiteout("usr/lib/wrong.so")], "kept"),
        ([program("usr/lib/right.so")], [whiteout("usr/lib/right.so"), WRONG], "wrong"),
        ([WRONG], [whiteout("usr/lib/wrong.so"), WRONG], "wrong"),
        ([WRONG], [opaque("usr/bin")], "wrong"),
    ],
    ids=["kept by a hard link", "new file", "deleted and added in one layer", "opaque elsewhere"],
)
def test_a_wrong_file_that_stays_is_a_lie(
    tmp_path: Path, below: list[Item], above: list[Item], path: str
) -> None:
    image = FakeImage(layers=[layer(*below), layer(*above)])
    assert failed(verify(single(tmp_path, image))) == {
        "elf": f"1 of 1 ELF files is amd64: /usr/lib/{path}.so"
    }


def test_files_of_several_foreign_machines_are_counted_apart(tmp_path: Path) -> None:
    items = [*LIBRARIES, program("a", "amd64"), program("b", "amd64"), program("c", "386")]
    assert failed(verify(single(tmp_path, image_of(*items))))["elf"].startswith(
        "3 of 6 ELF files are 2 amd64 and 1 386"
    )


CUBIN = Item("opt/torch/lib/kernel.cubin", elf(ElfTarget(machine=190, bits=64)))
CUDA_IS_DATA = ForeignElf(path="/opt/torch/*.cubin", machine="CUDA", reason="kernels for the GPU")


def test_a_foreign_file_that_is_data_is_allowed_with_its_reason(tmp_path: Path) -> None:
    layout = single(tmp_path, image_of(*LIBRARIES, CUBIN))
    assert failed(verify(layout)) == {"elf": "1 of 4 ELF files is CUDA: /opt/torch/lib/kernel.cubin"}
    verification = verify(layout, foreign_elf=(CUDA_IS_DATA,))
    assert verification.ok
    assert "1 allowed as CUDA (kernels for the GPU)" in detail(verification, "elf")


@pytest.mark.parametrize(
    "allowance",
    [
        ForeignElf(path="/opt/torch/*.cubin", machine="BPF", reason="another machine"),
        ForeignElf(path="/usr/*", machine="CUDA", reason="another place"),
    ],
)
def test_an_allowance_covers_its_own_path_and_machine_only(tmp_path: Path, allowance: ForeignElf) -> None:
    assert "elf" in failed(verify(single(tmp_path, image_of(CUBIN)), foreign_elf=(allowance,)))


def test_an_allowance_that_matches_nothing_is_no_error(tmp_path: Path) -> None:
    assert verify(single(tmp_path, image_of(*LIBRARIES)), foreign_elf=(CUDA_IS_DATA,)).ok


def test_an_image_without_any_elf_file_is_said_to_be_one(tmp_path: Path) -> None:
    verification = verify(single(tmp_path, image_of(Item("model.bin", b"weights"))))
    assert verification.ok
    assert detail(verification, "elf") == "no ELF file"


def test_an_image_without_layers_is_an_image(tmp_path: Path) -> None:
    assert verify(single(tmp_path, FakeImage(layers=[]))).ok


def test_a_broken_elf_header_is_reported_and_not_failed(tmp_path: Path) -> None:
    verification = verify(single(tmp_path, image_of(*LIBRARIES, Item("test.elf", b"\x7fELF"))))
    assert verification.ok
    assert verification.elf_files == 3
    assert "1 with a broken ELF header" in detail(verification, "elf")


@pytest.mark.parametrize("label", [Platform("linux", "arm64", "v8"), ARM64])
def test_arm64_and_arm64_v8_are_one_platform(tmp_path: Path, label: Platform) -> None:
    layout = single(tmp_path, image_of(*LIBRARIES, platform=label))
    assert verify(layout, platform=ARM64).ok
    assert verify(layout, platform=Platform("linux", "arm64", "v8")).ok


def test_32_bit_arm_without_a_variant_is_v7(tmp_path: Path) -> None:
    layout = single(tmp_path, image_of(program("a", "arm"), platform=Platform("linux", "arm")))
    assert verify(layout, platform=Platform("linux", "arm", "v7")).ok
    assert "label" in failed(verify(layout, platform=Platform("linux", "arm", "v6")))


@pytest.mark.parametrize(
    "label", [AMD64, Platform("linux", "arm64", "v9"), Platform("freebsd", "arm64")], ids=str
)
def test_a_label_other_than_asked_for_is_a_lie(tmp_path: Path, label: Platform) -> None:
    architecture = label.architecture
    layout = single(tmp_path, image_of(program("a", architecture), platform=label))
    assert failed(verify(layout, platform=ARM64)) == {
        "label": f"label={label}, but linux/arm64 was asked for"
    }
    assert verify(layout).ok


@pytest.mark.parametrize("architecture", ["armv64", "x86_64", "wasm"])
def test_an_unknown_architecture_fails_and_the_known_ones_are_named(
    tmp_path: Path, architecture: str
) -> None:
    layout = single(tmp_path, image_of(*LIBRARIES, platform=Platform("linux", architecture)))
    assert failed(verify(layout))["elf"].startswith(
        f"the architecture '{architecture}' is not one of 386, amd64,"
    )


def test_a_config_without_a_platform_fails(tmp_path: Path) -> None:
    assert (
        "names no platform" in failed(verify(single(tmp_path, image_of(platform=Platform("", "")))))["label"]
    )


def test_programs_of_windows_cannot_be_proven(tmp_path: Path) -> None:
    assert "elf" in failed(verify(single(tmp_path, image_of(platform=Platform("windows", "amd64")))))


def test_every_image_of_an_index_is_verified_and_attestations_are_none(tmp_path: Path) -> None:
    images = {ARM64: image_of(program("a")), AMD64: image_of(program("a", "amd64"), platform=AMD64)}
    layout = listed(tmp_path, images, attestations=2, media_type=MediaType.OCI_INDEX)
    verifications = verify_reference(layout, "")
    assert [each.platform for each in verifications] == [AMD64, ARM64]
    assert all(each.ok for each in verifications)
    assert detail(verifications[0], "index") == "attestations: 2"


def test_an_index_that_says_arm64_over_a_config_that_says_amd64_is_a_lie(tmp_path: Path) -> None:
    layout = listed(tmp_path, {ARM64: image_of(program("a", "amd64"), platform=AMD64)})
    assert failed(verify(layout)) == {"label": "label=linux/amd64, but its index lists it as linux/arm64"}


def test_a_platform_picks_one_image_of_an_index(tmp_path: Path) -> None:
    images = {ARM64: image_of(program("a")), AMD64: image_of(program("a"), platform=AMD64)}
    assert verify(listed(tmp_path, images), platform=ARM64).ok


def test_a_platform_that_an_index_lacks_is_named_with_those_it_has(tmp_path: Path) -> None:
    layout = listed(tmp_path, {ARM64: image_of(program("a"))})
    with pytest.raises(
        VerificationFailed, match="does not list an image for linux/amd64: it has linux/arm64"
    ):
        verify_reference(layout, "", platform=AMD64)


def test_an_index_of_attestations_alone_has_no_image(tmp_path: Path) -> None:
    with pytest.raises(VerificationFailed, match="does not list any image"):
        verify_reference(listed(tmp_path, {}, attestations=1), "")


def test_an_index_within_an_index_is_followed(tmp_path: Path) -> None:
    inner = listed(tmp_path, {ARM64: image_of(program("a"))})
    writer = LayoutWriter(tmp_path)
    top = json.dumps({"schemaVersion": 2, "manifests": [entry.to_json() for entry in inner.index.manifests]})
    writer.finish([writer.add_blob(top.encode(), MediaType.OCI_INDEX)])
    assert verify(OciLayout.open(tmp_path)).ok


def test_swapped_diff_ids_mean_that_config_and_layers_do_not_belong_together(tmp_path: Path) -> None:
    layers = [layer(program("a")), layer(program("b"))]
    image = FakeImage(layers=layers, diff_ids=[layers[1].diff_id, layers[0].diff_id])
    first, second = (each.diff_id for each in layers)
    sentence = failed(verify(single(tmp_path, image)))["layers"]
    assert f"layer 1 ({layers[0].descriptor.digest}) is {first}, the config says {second}" in sentence
    assert f"layer 2 ({layers[1].descriptor.digest}) is {second}, the config says {first}" in sentence


def test_a_layer_that_the_config_does_not_know_is_noticed(tmp_path: Path) -> None:
    layers = [layer(program("a")), layer(program("b"))]
    image = FakeImage(layers=layers, diff_ids=[layers[0].diff_id])
    assert failed(verify(single(tmp_path, image))) == {
        "layers": "the manifest has 2 layers, the config's rootfs has 1 diff_ids"
    }


def test_a_truncated_layer_fails_and_is_named(tmp_path: Path) -> None:
    blob = gzip.compress(tar(*LIBRARIES))[:-20]
    cut = Layer(blob=blob, media_type=MediaType.DOCKER_LAYER_GZIP, diff_id=Digest.of(b""))
    verification = verify(single(tmp_path, FakeImage(layers=[cut])))
    assert str(cut.descriptor.digest) in failed(verification)["layers"]
    assert "elf" not in {check.name for check in verification.checks}


@pytest.mark.parametrize("ending", [b"", b"?"], ids=["cut", "altered"])
def test_an_altered_blob_fails_and_is_named(tmp_path: Path, ending: bytes) -> None:
    image = image_of(*LIBRARIES)
    layout = single(tmp_path, image)
    digest = image.layers[0].descriptor.digest
    path = tmp_path / "blobs" / "sha256" / digest.hex
    path.write_bytes(path.read_bytes()[:-1] + ending)
    assert f"blob {digest} is corrupt" in failed(verify(layout))["layers"]


def test_an_altered_config_is_an_error_that_names_it(tmp_path: Path) -> None:
    layout = single(tmp_path, image_of(*LIBRARIES))
    manifest = layout.get_manifest("")
    assert isinstance(manifest, Manifest)
    path = tmp_path / "blobs" / "sha256" / manifest.config.digest.hex
    path.write_bytes(path.read_bytes().replace(b"arm64", b"amd64"))
    with pytest.raises(BlobCorrupt, match=manifest.config.digest):
        verify(layout)


def test_an_artifact_is_no_container_image(tmp_path: Path) -> None:
    writer = LayoutWriter(tmp_path)
    config = writer.add_blob(b'"a chart"', "application/vnd.cncf.helm.config.v1+json")
    writer.finish([writer.add_manifest(make_manifest(config, [], MediaType.OCI_MANIFEST))])
    with pytest.raises(
        VerificationFailed, match=r"is no container image: its config \(application/vnd.cncf.helm"
    ):
        verify(OciLayout.open(tmp_path))


@pytest.mark.parametrize(
    ("media_type", "reason"),
    [
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "is not distributed with the image"),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "is not distributed with the image"),
        ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", "is encrypted"),
    ],
)
def test_a_layer_that_cannot_be_read_is_not_passed(tmp_path: Path, media_type: str, reason: str) -> None:
    hidden = Layer(blob=b"?", media_type=media_type, diff_id=Digest.of(b""))
    assert reason in failed(verify(single(tmp_path, FakeImage(layers=[hidden]))))["layers"]


def test_a_layer_compressed_other_than_its_media_type_says_is_noticed(tmp_path: Path) -> None:
    archive = tar(*LIBRARIES)
    liar = Layer(blob=archive, media_type=MediaType.OCI_LAYER_GZIP, diff_id=Digest.of(archive))
    assert (
        "its bytes are compressed with none"
        in failed(verify(single(tmp_path, FakeImage(layers=[liar]))))["media-types"]
    )


def test_packages_entrypoint_ports_and_sizes_are_reported(tmp_path: Path) -> None:
    image = FakeImage(
        layers=[
            layer(
                Item(
                    "usr/lib/python3/dist-packages/torch-1.12.1.dist-info/METADATA",
                    b"Name: torch\nVersion: 1.12.1\n",
                )
            ),
            layer(
                Item("var/lib/dpkg/status", b"Package: libc6\nStatus: install ok installed\nVersion: 2.31\n")
            ),
        ],
        entrypoint=["serve"],
        settings={"ExposedPorts": {"8080/tcp": {}}},
    )
    verification = verify(single(tmp_path, image))
    assert verification.packages == (
        Package(kind=PackageKind.DEB, name="libc6", version="2.31"),
        Package(kind=PackageKind.PYTHON, name="torch", version="1.12.1"),
    )
    assert (verification.entrypoint, verification.ports) == (("serve",), ("8080/tcp",))
    assert verification.size == sum(len(each.blob) for each in image.layers) + len(image.config())
    assert verification.unpacked_size == 2 * 10240


def test_packages_that_a_later_layer_deletes_are_not_reported(tmp_path: Path) -> None:
    below = layer(Item("site-packages/a.dist-info/METADATA", b"Name: a\nVersion: 1\n"))
    image = FakeImage(layers=[below, layer(whiteout("site-packages/a.dist-info"))])
    assert verify(single(tmp_path, image)).packages == ()


def test_json_says_all_that_was_found_out(tmp_path: Path) -> None:
    verification = verify(single(tmp_path, image_of(*LIBRARIES, WRONG)))
    report = json.loads(json.dumps(verification.to_json()))
    assert report["ok"] is False
    assert report["platform"] == "linux/arm64"
    assert report["checks"][1] == {
        "name": "elf",
        "ok": False,
        "detail": "1 of 4 ELF files is amd64",
        "paths": ["/usr/lib/wrong.so"],
        "count": 1,
    }


def test_names_of_files_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    name = "evil\x1b[2J\n" + b"\xff".decode("utf-8", "surrogateescape")
    verification = verify(single(tmp_path, image_of(program(name, "amd64"))))
    assert failed(verification)["elf"].endswith(r": /evil\x1b[2J\n\xff")


def test_a_failed_verification_is_an_error_with_every_failed_check(tmp_path: Path) -> None:
    image = FakeImage(layers=[layer(WRONG)], diff_ids=[])
    verification = verify(single(tmp_path, image))
    with pytest.raises(
        VerificationFailed, match=r"(?s)it is not what.*ELF files is amd64.*layers: the manifest has 1"
    ):
        ensure_verified("it", [verification])
    ensure_verified("it", [])


class CountingSource:
    """Counts the blobs that are opened."""

    def __init__(self, layout: OciLayout) -> None:
        self._layout = layout
        self.opened: list[Digest] = []

    @property
    def name(self) -> str:
        return self._layout.name

    def get_manifest(self, selector: str) -> Manifest | Index:
        return self._layout.get_manifest(selector)

    def open_blob(self, descriptor: Descriptor) -> AbstractContextManager[BinaryIO]:
        self.opened.append(descriptor.digest)
        return self._layout.open_blob(descriptor)


def test_a_layer_that_was_seen_before_is_not_read_again(tmp_path: Path) -> None:
    shared = layer(program("base"))
    images = {
        ARM64: FakeImage(layers=[shared, layer(program("a"))]),
        Platform("linux", "arm64", "v9"): FakeImage(
            layers=[shared, layer(program("b"))], platform=Platform("linux", "arm64", "v9")
        ),
    }
    source = CountingSource(listed(tmp_path, images))
    scans = MemoryScans()
    first = verify_reference(source, "", scans=scans)
    assert source.opened.count(shared.descriptor.digest) == 1
    source.opened.clear()
    assert verify_reference(source, "", scans=scans) == first
    assert not set(source.opened) & {
        each.descriptor.digest for image in images.values() for each in image.layers
    }


def test_an_empty_cache_that_was_given_is_the_one_that_is_filled(tmp_path: Path) -> None:
    stored: list[LayerScan] = []

    class Recorder(MemoryScans):
        def store_scan(self, scan: LayerScan) -> None:
            stored.append(scan)

        def __len__(self) -> int:
            return 0

    verify_reference(single(tmp_path, image_of(*LIBRARIES)), "", scans=Recorder())
    assert len(stored) == 1
