"""One image of a release as a flat row."""

from typing import Any

from toolkit.record import PublishedImage

COLUMNS = (
    "identifier",
    "framework",
    "version",
    "python",
    "os",
    "architecture",
    "accelerator",
    "consumer",
    "registry",
    "repository",
    "tag",
    "digest",
    "uri",
    "index_tag",
    "index_uri",
    "media_type",
    "size",
    "unpacked_size",
    "entrypoint",
    "ports",
    "account",
    "region",
    "verified",
    "support",
    "support_date",
    "support_source",
    "support_reasons",
    "created",
    "remark",
)


def row(image: PublishedImage) -> dict[str, Any]:
    """One unit as a flat row of COLUMNS."""
    computed = {
        "entrypoint": " ".join(image.entrypoint),
        "ports": " ".join(image.ports),
        "verified": ", ".join(sorted(image.verification)),
        "support": image.support.get("state", ""),
        **{f"support_{key}": image.support.get(key, "") for key in ("date", "source", "reasons")},
    }
    return {name: computed.get(name, getattr(image, name, "")) for name in COLUMNS}
