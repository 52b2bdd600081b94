"""Release records for tests, with everything that is not said as it fits."""

from dataclasses import replace

from toolkit.record import Package, PublishedImage, ReleaseRecord

HOST = "registry.example"
DIGEST = "sha256:" + "1" * 64
INDEX = "sha256:" + "2" * 64
RELEASE = "20261121T081500Z-1a2b3c4d"


def image(identifier: str = "pytorch-arm64", **changes: object) -> PublishedImage:
    """A published image of PyTorch; `identifier` ends with its architecture."""
    image_id, _, architecture = identifier.rpartition("-")
    made = PublishedImage(
        identifier=identifier,
        image_id=image_id,
        framework="pytorch",
        version="1.12.1",
        python="3.9",
        os="debian11",
        accelerator="cpu",
        architecture=architecture,
        variant="",
        consumer="sagemaker",
        registry=HOST,
        account="",
        region="",
        repository="pytorch-inference",
        tag=f"1.12.1-{architecture}",
        digest=DIGEST,
        media_type="application/vnd.docker.distribution.manifest.v2+json",
        size=250_000_000,
        unpacked_size=900_000_000,
        build_id="3" * 64,
        base={"reference": "debian:bullseye", "digest": "sha256:" + "4" * 64},
        packages=(Package(name="torch", version="1.12.1", kind="python"),),
        entrypoint=("/usr/local/bin/serve",),
        ports=("8080/tcp",),
        support={
            "state": "legacy",
            "date": "2025-10-31",
            "source": "https://devguide.python.org/versions/",
            "reasons": "Python 3.9: end of life 2025-10-31",
        },
        verification={"label": "passed", "elf": "passed"},
        emulated=False,
        durations={"build": 18.5},
        created="2026-11-21T08:15:00Z",
        remark="",
        uri=f"{HOST}/pytorch-inference@{DIGEST}",
        index_tag="1.12.1",
        index_uri=f"{HOST}/pytorch-inference@{INDEX}",
        index_digest=INDEX,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def record(*images: PublishedImage) -> ReleaseRecord:
    return ReleaseRecord(
        release=RELEASE,
        created="2026-11-21T08:15:00Z",
        registry=HOST,
        images=images,
        toolkit="0.1.0",
        warnings=("base debian11 is not as images.lock says",),
    )
