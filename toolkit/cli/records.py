"""Release records on disk and in a registry; the tables beside them."""

import os
from pathlib import Path

from toolkit.artifacts import fetch_artifact, push_artifact
from toolkit.cli.settings import Settings
from toolkit.errors import UsageError
from toolkit.oci import Digest, Reference
from toolkit.planning import Destination
from toolkit.record import NEWEST, RELEASES, ReleaseRecord, is_release_id

RECORD_TYPE = "application/vnd.multiarch-images.release.v1+json"


def keep_record(settings: Settings, record: ReleaseRecord) -> Digest:
    """dist/releases/ID.json, whole or not there; the digest of its bytes."""
    replace_file(settings.dist / "releases" / f"{record.release}.json", record.dumps())
    return Digest.of(record.dumps().encode())


def lookup_kept(settings: Settings, release: str, digest: str) -> ReleaseRecord | None:
    """The record that was kept, None when it is not there or not as it was."""
    path = settings.dist / "releases" / f"{release}.json"
    if not path.is_file() or Digest.of(path.read_bytes()) != digest:
        return None
    return ReleaseRecord.loads(path.read_bytes(), name=str(path))


def files_of(record: ReleaseRecord) -> tuple[str, ...]:
    """What `write_record` writes, relative to the project."""
    from toolkit.tables import RELEASED

    tables = (f"dist/uris.{kind}" for kind in RELEASED)
    return (f"dist/releases/{record.release}.json", "dist/release.json", *tables)


def write_record(settings: Settings, record: ReleaseRecord) -> None:
    """dist/releases/ID.json, dist/release.json and dist/uris.*: each whole or not there."""
    from toolkit.tables import FORMATS, RELEASED

    keep_record(settings, record)
    replace_file(settings.dist / "release.json", record.dumps())
    for kind in RELEASED:
        replace_file(settings.dist / f"uris.{kind}", FORMATS[kind].write(record))


def replace_file(path: Path, text: str) -> None:
    """Write it whole or not at all, and on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with fresh.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())  # else a power cut may leave an empty file under the name
    fresh.replace(path)


def lookup_record(settings: Settings, to: Destination) -> ReleaseRecord | None:
    """The newest record of this destination: dist/release.json, else what the registry keeps."""
    path = settings.dist / "release.json"
    if path.exists():
        record = ReleaseRecord.loads(path.read_bytes(), name=str(path))
        if record.registry == to.place:
            return record
    return lookup_newest(to)


def lookup_release(settings: Settings, to: Destination, release: str) -> ReleaseRecord | None:
    """A release of this destination by its id, from dist/releases or what the registry keeps."""
    path = settings.dist / "releases" / f"{release}.json"
    if path.is_file():
        record = ReleaseRecord.loads(path.read_bytes(), name=str(path))
        if record.registry == to.place:
            return record
    return _fetch(to, release)


def lookup_newest(to: Destination) -> ReleaseRecord | None:
    """What the registry says stands, whatever this machine did last."""
    return _fetch(to, NEWEST)


def release_ids(settings: Settings, to: Destination) -> tuple[str, ...]:
    """Every release that the registry or dist/releases has for this destination, the newest first."""
    kept = (path.stem for path in (settings.dist / "releases").glob("*.json") if is_release_id(path.stem))
    here = {each for each in kept if lookup_release(settings, to, each)}
    there = {tag for tag in to.registry.list_tags(to.repository(RELEASES)) if is_release_id(tag)}
    return tuple(sorted(here | there, reverse=True))


def _fetch(to: Destination, selector: str) -> ReleaseRecord | None:
    document = fetch_artifact(registry=to.registry, repository=to.repository(RELEASES), selector=selector)
    return ReleaseRecord.loads(document, name=to.reference(RELEASES, selector)) if document else None


def lookup_last(settings: Settings, to: Destination | None) -> ReleaseRecord | None:
    """What says best how long builds take here: the newest record of `to`, else of any place."""
    if to and (record := lookup_record(settings, to)):
        return record
    path = settings.dist / "release.json"
    return ReleaseRecord.loads(path.read_bytes(), name=str(path)) if path.exists() else None


def push_record(record: ReleaseRecord, to: Destination) -> None:
    """Keep the record beside the images, so that another machine finds it."""
    for tag in (record.release, NEWEST):
        push_artifact(
            record.dumps().encode(),
            artifact_type=RECORD_TYPE,
            registry=to.registry,
            repository=to.repository(RELEASES),
            tag=tag,
        )


def get_record(settings: Settings, record: str) -> ReleaseRecord:
    """The record of that id in dist/releases, at that path or, when no such file is there, at that reference
    of a registry; "" is the newest here.

    Raises UsageError when there is none.
    """
    path = Path(record) if record else settings.dist / "release.json"
    if is_release_id(record):
        path = settings.dist / "releases" / f"{record}.json"
        if not path.is_file():
            raise UsageError(
                f"there is no {path.name} in {path.parent}",
                remedy=f"Name it in its registry: HOST/{RELEASES}:{record}",
            )
    if path.is_file():
        return ReleaseRecord.loads(path.read_bytes(), name=str(path))
    if not record:
        raise UsageError(
            "there is no release yet: dist/release.json is not there", remedy="Run: make release"
        )
    if path.suffix == ".json":
        raise UsageError(f"there is no file {record}", remedy="See dist/releases/ for what is there.")
    from toolkit.cli.connections import registry_at

    reference = Reference.parse(record)
    document = fetch_artifact(
        registry=registry_at(settings, reference.registry),
        repository=reference.repository,
        selector=reference.selector,
    )
    if document is None:
        raise UsageError(f"there is no release record at {reference}", remedy="See its tags in the registry.")
    return ReleaseRecord.loads(document, name=str(reference))
