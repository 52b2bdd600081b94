"""What the release records that are kept name: it must not expire."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from toolkit.artifacts import fetch_artifact
from toolkit.cli.registries import Place
from toolkit.cli.settings import Settings
from toolkit.cli.world import destination
from toolkit.ecr.ensure import Live, kept_digests
from toolkit.oci import Digest, Index
from toolkit.planning import Destination
from toolkit.record import NEWEST, RELEASES, ReleaseRecord

if TYPE_CHECKING:
    from toolkit.adapters.ecr import EcrControl

_THREADS = 16


def kept_by_releases(settings: Settings, place: Place, control: "EcrControl") -> Live:
    """By the records in the registry's own repository of them, and by those in dist/releases."""
    to = destination(settings, place)
    records = {record.release: record for record in _of_dist(settings, to)}
    home = to.repository(RELEASES)
    if control.lookup_repositories([home]):
        tags = sorted({tag for image in control.list_images(home) for tag in image.tags} - {NEWEST})
        unread = [tag for tag in tags if tag not in records]
        with ThreadPoolExecutor(_THREADS) as pool:
            found = pool.map(lambda tag: _fetch(to, home, tag), unread)
            records |= {record.release: record for record in found if record}

    def children(repository: str, index: Digest) -> Sequence[Digest]:
        manifest = to.registry.lookup_manifest(repository, index)
        return [child.digest for child in manifest.manifests] if isinstance(manifest, Index) else []

    return kept_digests(records.values(), children)


def _of_dist(settings: Settings, to: Destination) -> list[ReleaseRecord]:
    paths = sorted((settings.dist / "releases").glob("*.json"))
    records = [ReleaseRecord.loads(path.read_bytes(), name=str(path)) for path in paths]
    return [record for record in records if record.registry == to.place]


def _fetch(to: Destination, repository: str, tag: str) -> ReleaseRecord | None:
    document = fetch_artifact(registry=to.registry, repository=repository, selector=tag)
    return ReleaseRecord.loads(document, name=f"{to.registry.host}/{repository}:{tag}") if document else None
