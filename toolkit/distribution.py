"""What stands in the home registry → the further regions. What a record says of home decides.

A region gets images first and each list last. Amazon ECR's replication brings them where it is set up; what
it does not bring is sent from here, by digest: a registry cannot mount what another one has.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from toolkit.errors import RegistryTrouble, RegistryUnavailable, ToolkitError
from toolkit.oci import Descriptor, Digest, Index, Manifest
from toolkit.planning import Destination
from toolkit.progress import Event, Kind, Reporter
from toolkit.publish import Observer, Registry, publish_image, publish_index, spell, tag_image
from toolkit.record import PublishedImage, ReleaseRecord, account_and_region

_LOOKUPS = 16


@dataclass(frozen=True, kw_only=True)
class Region:
    """A registry that is to have what the home registry has.

    `replicates` tells of a repository whether the service itself brings what is pushed to it at home.
    """

    name: str
    registry: Registry
    replicates: Callable[[str], bool]


Key = tuple[str, str, str]
"""Repository, tag and digest."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A list of the home registry with its rows of the record; or one image that has no list."""

    key: Key
    images: tuple[PublishedImage, ...]

    @property
    def repository(self) -> str:
        return self.key[0]

    @property
    def tag(self) -> str:
        return self.key[1]

    @property
    def digest(self) -> Digest:
        return Digest(self.key[2])


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """`record` has a row for each image in each region where it is; `failures` are by reference or region."""

    record: ReleaseRecord
    failures: Mapping[str, ToolkitError]


def bundles_of(images: Iterable[PublishedImage]) -> tuple[Bundle, ...]:
    groups: dict[Key, list[PublishedImage]] = {}
    for image in images:
        groups.setdefault(_key(image), []).append(image)
    return tuple(Bundle(key=key, images=tuple(rows)) for key, rows in sorted(groups.items()))


def _key(image: PublishedImage) -> Key:
    return (image.repository, image.index_tag or image.tag, image.index_digest or image.digest)


def is_distributed(record: ReleaseRecord, regions: Sequence[Region]) -> bool:
    """Whether every region has every list, and the record says just that: one HEAD per list and region."""
    bundles = bundles_of(record.home)
    every = frozenset(each.key for each in bundles)
    held = {each.registry.host: every for each in regions}
    if with_copies(record, held).images != record.images:
        return False
    try:
        return all(_named(bundles, each.registry) == every for each in regions)
    except RegistryTrouble:
        return False


def _named(bundles: Sequence[Bundle], registry: Registry) -> frozenset[Key]:
    """Those whose tag names their digest."""
    with ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="region") as pool:
        found = pool.map(lambda each: registry.lookup_descriptor(each.repository, each.tag), bundles)
        return frozenset(
            each.key
            for each, there in zip(bundles, found, strict=True)
            if there and there.digest == each.digest
        )


def with_copies(record: ReleaseRecord, held: Mapping[str, AbstractSet[Key]]) -> ReleaseRecord:
    """The record with rows for what other registries hold, by host, and for nothing else.

    Sorted by identifier; of one image the row of the home registry comes first, others as in `held`.
    """
    places = {host: number for number, host in enumerate(held)}
    copies = (
        _copy(image, host) for host, keys in held.items() for image in record.home if _key(image) in keys
    )
    rows = sorted(
        (*record.home, *copies), key=lambda image: (image.identifier, places.get(image.registry, -1))
    )
    return replace(record, images=tuple(rows))


def _copy(image: PublishedImage, host: str) -> PublishedImage:
    account, region = account_and_region(host)
    uri, index_uri = (
        f"{host}{text.removeprefix(image.registry)}" if text else "" for text in (image.uri, image.index_uri)
    )
    return replace(image, registry=host, account=account, region=region, uri=uri, index_uri=index_uri)


def distribute(
    record: ReleaseRecord,
    regions: Sequence[Region],
    *,
    home: Destination,
    before: ReleaseRecord | None,
    turns: Iterator[None],
    report: Reporter,
    observe: Observer,
) -> Distribution:
    """Bring what `record` says of the home registry to each region.

    `before` is the newest record: what it has of a region is not looked through again, and only what is new
    since is waited for, until `turns`, each of which takes its time, have come to an end.
    One list or region that fails stops no other, and its rows are left out.
    """
    held: dict[str, frozenset[Key]] = {}
    failures: dict[str, ToolkitError] = {}
    for region in regions:
        work = _Work(record, region, home=home, before=before, turns=turns, report=report, observe=observe)
        work.run()
        held[region.registry.host] = frozenset(work.held)
        failures |= work.failures
    return Distribution(record=with_copies(record, held), failures=failures)


class _Work:
    """One region."""

    def __init__(
        self,
        record: ReleaseRecord,
        region: Region,
        *,
        home: Destination,
        before: ReleaseRecord | None,
        turns: Iterator[None],
        report: Reporter,
        observe: Observer,
    ) -> None:
        earlier = before.images if before else ()
        self._bundles = bundles_of(record.home)
        self._known = {_key(each) for each in earlier if each.registry == region.registry.host}
        self._old = {_key(each) for each in earlier if each.registry == home.registry.host}
        self._region, self._registry, self._home = region, region.registry, home
        self._turns, self._report, self._observe = turns, report, observe
        self.held: set[Key] = set()
        self.failures: dict[str, ToolkitError] = {}

    def run(self) -> None:
        try:
            named = _named(self._bundles, self._registry)
            self.held |= {
                each.key
                for each in self._bundles
                if each.key in named and (each.key in self._known or self._is_whole(each))
            }
            self._wait([each for each in self._missing() if each.key not in self._old])
            missing = self._missing()
            for number, bundle in enumerate(missing, start=1):
                self._bring(bundle, number, len(missing))
        except ToolkitError as error:
            self._fail(self._region.name, error)

    def _missing(self) -> list[Bundle]:
        return [each for each in self._bundles if each.key not in self.held]

    def _wait(self, fresh: Sequence[Bundle]) -> None:
        """For the service's own replication."""
        waiting = [each for each in fresh if self._region.replicates(each.repository)]
        if not waiting:
            return
        name = self._region.name
        self._tell(Kind.NOTE, name, f"waiting for replication: {len(waiting)} to come")
        for _ in self._turns:
            named = _named(waiting, self._registry)
            come = {each.key for each in waiting if each.key in named and self._is_whole(each)}
            self.held |= come
            waiting = [each for each in waiting if each.key not in come]
            if come:
                self._tell(Kind.NOTE, name, f"replication brought {len(come)}, {len(waiting)} to come")
            if not waiting:
                return
        self._tell(Kind.NOTE, name, f"replication did not bring {len(waiting)} in time: sent from here")

    def _is_whole(self, bundle: Bundle) -> bool:
        """All images behind it are there, those of the record under their tags."""
        children = ((each.digest, each.digest) for each in self._children(bundle))
        wanted = [*children, *((image.tag, image.digest) for image in bundle.images)]
        found = (self._registry.lookup_descriptor(bundle.repository, selector) for selector, _ in wanted)
        return all(there and there.digest == digest for there, (_, digest) in zip(found, wanted, strict=True))

    def _children(self, bundle: Bundle) -> tuple[Descriptor, ...]:
        manifest = self._home.images(bundle.repository).get_manifest(bundle.digest)
        return manifest.manifests if isinstance(manifest, Index) else ()

    def _bring(self, bundle: Bundle, number: int, total: int) -> None:
        subject = spell(self._registry, bundle.repository, bundle.tag)
        at_home = self._home.registry.lookup_descriptor(bundle.repository, bundle.tag)
        if at_home is None or at_home.digest != bundle.digest:
            # Another pipeline's record tells what stands there now, and it takes care of its regions.
            text = f"not brought: at home this tag names {at_home.digest if at_home else 'nothing'}"
            self._tell(Kind.WARNING, subject, text)
            return
        size = sum({image.digest: image.size for image in bundle.images}.values())
        event = Event(kind=Kind.STARTED, subject=subject, number=number, total=total)
        self._report(replace(event, text=f"bringing {size / 1e6:.0f} MB from {self._home.registry.host}"))
        try:
            self._send(bundle)
        except RegistryUnavailable:
            raise  # it would be so for the region's other lists, each after the same patience
        except ToolkitError as error:
            self._fail(subject, error)
        else:
            self.held.add(bundle.key)
            self._report(replace(event, kind=Kind.FINISHED, text=bundle.digest))

    def _send(self, bundle: Bundle) -> None:
        """All images by digest, then their tags, then the list."""
        source = self._home.images(bundle.repository)
        top = source.get_manifest(bundle.digest)
        digests = [each.digest for each in top.manifests] if isinstance(top, Index) else [top.digest]
        images = [each for each in map(source.get_manifest, digests) if isinstance(each, Manifest)]
        tags: dict[str, tuple[str, ...]] = {}
        for row in bundle.images:
            tags[row.digest] = (*tags.get(row.digest, ()), row.tag)
        for image in images:
            publish_image(
                image,
                source,
                registry=self._registry,
                repository=bundle.repository,
                observe=self._observe,
            )
        for image in images:
            tag_image(
                image,
                registry=self._registry,
                repository=bundle.repository,
                tags=tags.get(image.digest, ()),
                observe=self._observe,
            )
        if isinstance(top, Index):
            standing = self._registry.lookup_manifest(bundle.repository, bundle.tag)
            publish_index(
                top,
                required=top.platforms,
                registry=self._registry,
                repository=bundle.repository,
                tag=bundle.tag,
                # Whether a platform may go was asked when the list was put at home: a region follows.
                may_drop=frozenset(standing.platforms if isinstance(standing, Index) else ()),
                observe=self._observe,
            )

    def _fail(self, subject: str, error: ToolkitError) -> None:
        self.failures[subject] = error
        self._tell(Kind.FAILED, subject, error.message)

    def _tell(self, kind: Kind, subject: str, text: str) -> None:
        self._report(Event(kind=kind, subject=subject, text=text))
