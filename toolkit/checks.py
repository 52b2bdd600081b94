"""The single checks that make a verification, each from values to a Check."""

import fnmatch
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Self

from toolkit.catalog.model import ForeignElf
from toolkit.contracts import Contract
from toolkit.layers.compression import Compression
from toolkit.layers.elf import ARCHITECTURES, MALFORMED
from toolkit.layers.scan import Entry, LayerScan
from toolkit.oci import Digest, Manifest, Platform

# How many offending paths a report names; the count is always complete.
SHOWN_PATHS = 10


@dataclass(frozen=True, kw_only=True)
class Check:
    """One question put to an image. `paths` are the first offending ones of `count`, fit to print."""

    name: str
    ok: bool
    detail: str
    paths: tuple[str, ...] = ()
    count: int = 0

    @classmethod
    def over(cls, name: str, offenders: Sequence[str], *, detail: str) -> Self:
        """Passed when there are no `offenders`."""
        shown = tuple(printable(path) for path in offenders[:SHOWN_PATHS])
        return cls(name=name, ok=not offenders, detail=detail, paths=shown, count=len(offenders))

    @property
    def sentence(self) -> str:
        """The detail and the first offending paths, in one line."""
        if not self.paths:
            return self.detail
        more = f" and {self.count - len(self.paths)} more" if self.count > len(self.paths) else ""
        return f"{self.detail}: {', '.join(self.paths)}{more}"

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "ok": self.ok,
            "detail": self.detail,
            "paths": list(self.paths),
            "count": self.count,
        }


def printable(text: str) -> str:
    """Any path of an image as one line of text: control characters and bytes that are not UTF-8 escaped."""
    decoded = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in decoded)


def check_label(claimed: Platform, *, expected: Platform | None, listed: Platform | None) -> Check:
    """Is the platform of the image's config the one asked for and the one its index lists it under?"""
    problems = []
    if not (claimed.os and claimed.architecture):
        problems.append("its config names no platform")
    if listed and comparable(listed) != comparable(claimed):
        problems.append(f"its index lists it as {listed}")
    if expected and comparable(expected) != comparable(claimed):
        problems.append(f"{expected} was asked for")
    label = f"label={printable(str(claimed))}"
    return Check(name="label", ok=not problems, detail=", but ".join([label, *problems]))


def comparable(platform: Platform) -> Platform:
    """Equal for two spellings of one platform; 32-bit Arm without a variant is v7, as containerd reads it.

    https://github.com/containerd/platforms/blob/main/database.go
    """
    if platform.architecture == "arm" and not platform.variant:
        return Platform(platform.os, "arm", "v7")
    return platform.normalized


def check_elf(files: Iterable[tuple[str, Entry]], platform: Platform, allowed: Sequence[ForeignElf]) -> Check:
    """Has every ELF file the machine, word size and byte order of the label's architecture?"""
    found = [(path, entry.elf) for path, entry in files if entry.elf]
    whole = [(path, machine) for path, machine in found if machine != MALFORMED]
    if platform.architecture not in ARCHITECTURES:
        name = printable(platform.architecture)
        return Check(
            name="elf",
            ok=False,
            detail=f"the architecture {name!r} is not one of {', '.join(sorted(ARCHITECTURES))}",
        )
    if platform.os == "windows":
        return Check(
            name="elf", ok=False, detail="programs of Windows are not ELF: their machine is not read"
        )
    foreign = [(path, machine) for path, machine in whole if machine != platform.architecture]
    reasons = {path: _allowance(path, machine, allowed) for path, machine in foreign}
    wrong = [(path, machine) for path, machine in foreign if reasons[path] is None]
    parts = [_elf_sentence(len(whole), Counter(machine for _, machine in wrong), platform.architecture)]
    tolerated = Counter(
        f"{row.machine if row.machine != '*' else 'other'} ({row.reason})" for row in reasons.values() if row
    )
    parts += [f"{count} allowed as {why}" for why, count in sorted(tolerated.items())]
    if broken := len(found) - len(whole):
        parts.append(f"{broken} with a broken ELF header, which nothing can load, not counted")
    return Check.over("elf", [path for path, _ in wrong], detail="; ".join(parts))


def _allowance(path: str, machine: str, allowed: Sequence[ForeignElf]) -> ForeignElf | None:
    for row in allowed:
        if fnmatch.fnmatchcase(path, row.path) and fnmatch.fnmatchcase(machine, row.machine):
            return row
    return None


def _elf_sentence(total: int, wrong: Counter[str], architecture: str) -> str:
    if not total:
        return "no ELF file"
    if not wrong:
        return f"{total} of {total} ELF files {'is' if total == 1 else 'are'} {architecture}"
    machines = " and ".join(
        machine if len(wrong) == 1 else f"{count} {machine}" for machine, count in wrong.most_common()
    )
    count = wrong.total()
    return f"{count} of {total} ELF files {'is' if count == 1 else 'are'} {machines}"


def check_layers(scans: Sequence[LayerScan], diff_ids: Sequence[Digest]) -> Check:
    """Do config and layers belong together: is every uncompressed layer the one that the config lists?"""
    if len(scans) != len(diff_ids):
        detail = f"the manifest has {len(scans)} layers, the config's rootfs has {len(diff_ids)} diff_ids"
        return Check(name="layers", ok=False, detail=detail)
    wrong = [
        f"layer {number} ({scan.digest}) is {scan.diff_id}, the config says {diff_id}"
        for number, (scan, diff_id) in enumerate(zip(scans, diff_ids, strict=True), start=1)
        if scan.diff_id != diff_id
    ]
    detail = "; ".join(wrong) or f"layers with the diff_id of the config: {len(scans)} of {len(scans)}"
    return Check(name="layers", ok=not wrong, detail=detail)


def check_media_types(manifest: Manifest, scans: Sequence[LayerScan], contract: Contract) -> Check:
    """Are the media types those that the consumer takes, and are the layers compressed as theirs say?"""
    named = [
        ("manifest", manifest.media_type, contract.manifest_types),
        ("config", manifest.config.media_type, contract.config_types),
        *(
            (f"layer {at}", layer.media_type, contract.layer_types)
            for at, layer in enumerate(manifest.layers, 1)
        ),
    ]
    problems = [
        f"{part} is {printable(media_type)}"
        for part, media_type, wanted in named
        if wanted and media_type not in wanted
    ]
    reason = f", which {contract.consumer} does not take ({contract.source})" if problems else ""
    mislabelled = [
        f"layer {at} is {printable(layer.media_type)} but its bytes are compressed with {scan.compression}"
        for at, (layer, scan) in enumerate(zip_longest(manifest.layers, scans), 1)
        if layer and scan and declared_compression(layer.media_type) not in (None, scan.compression)
    ]
    detail = "; ".join([*([", ".join(problems) + reason] if problems else []), *mislabelled])
    return Check(name="media-types", ok=not detail, detail=detail or manifest.media_type)


def declared_compression(media_type: str) -> Compression | None:
    """What a layer's media type says of its bytes; None for types that are not known here."""
    if media_type.endswith("gzip"):
        return Compression.GZIP
    if media_type.endswith("zstd"):
        return Compression.ZSTD
    return Compression.NONE if media_type.endswith(".tar") else None


def check_index(*, attestations: int, wanted_whole: bool, contract: Contract) -> Check:
    """Does the consumer take what the index adds to its images?"""
    problems = []
    if attestations and not contract.takes_attestations:
        problems.append(f"attestations stand beside the images ({attestations}): build with provenance=false")
    if wanted_whole and not contract.takes_index:
        problems.append("it is handed the list: hand it one platform's image by digest")
    detail = f"{contract.consumer} refuses this ({contract.source}): " + "; ".join(problems)
    return Check(
        name="index", ok=not problems, detail=detail if problems else f"attestations: {attestations}"
    )
