"""What was published: all that consumers may know. Pure values and their JSON, `schema_version: 1`."""

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Self, get_origin

from toolkit.errors import UsageError
from toolkit.oci import Digest, Reference

SCHEMA_VERSION = 1
RELEASES = "releases"
NEWEST = "newest"
"""The tag of the newest record in the repository RELEASES: the only tag there that moves."""

_RELEASE_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")

# ACCOUNT.dkr.ecr[-fips].REGION.SUFFIX, https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
_ECR = re.compile(r"(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\..+")


@dataclass(frozen=True, kw_only=True)
class Package:
    """`kind` is "python" or "deb"."""

    name: str
    version: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class PublishedImage:
    """One unit in one registry. Sizes are bytes, durations seconds, times RFC 3339 in UTC.

    `uri` is what its consumer deploys: SageMaker the image of the platform, the others the list,
    always by digest. `verification` maps the name of each check to its result.
    """

    identifier: str
    image_id: str
    framework: str
    version: str
    python: str
    os: str
    accelerator: str
    architecture: str
    variant: str
    consumer: str
    registry: str
    account: str
    region: str
    repository: str
    tag: str
    digest: str
    media_type: str
    size: int
    unpacked_size: int
    build_id: str
    base: Mapping[str, str]
    packages: tuple[Package, ...]
    entrypoint: tuple[str, ...]
    ports: tuple[str, ...]
    support: Mapping[str, str]
    verification: Mapping[str, str]
    emulated: bool
    durations: Mapping[str, float]
    created: str
    remark: str
    uri: str
    index_tag: str
    index_uri: str
    index_digest: str

    @property
    def pinned(self) -> Reference:
        """The image of this platform by digest, whatever its consumer deploys."""
        return Reference(registry=self.registry, repository=self.repository, digest=Digest(self.digest))


@dataclass(frozen=True, kw_only=True)
class ReleaseRecord:
    """Everything of one catalog that a registry holds after a release, with a row for each further region
    that holds it too. An identifier is of one row in one registry; the home registry's row comes first."""

    release: str
    created: str
    registry: str
    images: tuple[PublishedImage, ...]
    toolkit: str = ""
    warnings: tuple[str, ...] = field(default=())

    @property
    def home(self) -> tuple[PublishedImage, ...]:
        """The rows of the registry that releases are pushed to: each image once."""
        return tuple(image for image in self.images if self.is_home(image))

    def is_home(self, image: PublishedImage) -> bool:
        return image.registry == self.registry.partition("/")[0]

    def to_json(self) -> dict[str, Any]:
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}

    def dumps(self) -> str:
        return json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def loads(cls, text: str | bytes, *, name: str = "the release record") -> Self:
        """Raises UsageError when `text` is no record of this schema."""
        try:
            data = json.loads(text)
            if data["schema_version"] != SCHEMA_VERSION:
                raise UsageError(
                    f"{name} has schema_version {data['schema_version']}; this toolkit reads "
                    f"{SCHEMA_VERSION}",
                    remedy="Use the toolkit that wrote it, or remove it and release again: make release",
                )
            return cls(
                release=_release_id(data["release"]),
                created=str(data["created"]),
                registry=str(data["registry"]),
                toolkit=str(data.get("toolkit", "")),
                warnings=tuple(data.get("warnings", ())),
                images=tuple(_image(entry) for entry in data["images"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise UsageError(
                f"{name} cannot be read: {what}", remedy="Remove it and release again: make release"
            ) from error


def is_release_id(text: str) -> bool:
    return bool(_RELEASE_ID.fullmatch(text))


def _release_id(text: object) -> str:
    """It becomes the name of a file. Raises ValueError for anything else."""
    if not is_release_id(str(text)):
        raise ValueError(f"{text!r} is not a release id")
    return str(text)


_JSON_KINDS: Mapping[Any, type] = {str: str, int: int, bool: bool}


def _image(entry: Mapping[str, Any]) -> PublishedImage:
    """Fields that a later toolkit added are passed over. Raises KeyError and TypeError."""
    values = {each.name: entry[each.name] for each in fields(PublishedImage)}
    for each in fields(PublishedImage):
        wanted = _JSON_KINDS.get(each.type, list if get_origin(each.type) is tuple else dict)
        if not isinstance(values[each.name], wanted):
            raise TypeError(f"{each.name} is {values[each.name]!r}")
    packages = tuple(
        Package(name=each["name"], version=each["version"], kind=each["kind"]) for each in values["packages"]
    )
    lists = {name: tuple(values[name]) for name in ("entrypoint", "ports")}
    return PublishedImage(**values | lists | {"packages": packages})


def rfc3339(moment: datetime) -> str:
    """A time in UTC as records and journals have it."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def release_id(began: datetime, destination: str, builds: Mapping[str, str]) -> str:
    """`20261121T081500Z-1a2b3c4d`: UTC time and a short hash of what is released, build ids by identifier,
    and where to. It is known when a release begins, and stays when a killed one is gone on with."""
    # To the microsecond: two who release the same in one second are two releases.
    content = "\n".join(
        [began.isoformat(), destination, *(f"{name} {build}" for name, build in sorted(builds.items()))]
    )
    return f"{began:%Y%m%dT%H%M%SZ}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def start_of(now: datetime, before: ReleaseRecord | None) -> datetime:
    """When a release begins: later than the one before it, also where this machine's clock runs behind."""
    if before is None:
        return now
    return max(now, datetime.fromisoformat(before.created) + timedelta(seconds=1))


def account_and_region(registry: str) -> tuple[str, str]:
    """Account and region of an ECR host; two empty texts for any other registry."""
    found = _ECR.fullmatch(registry)
    return (found["account"], found["region"]) if found else ("", "")


def carried_over(
    before: ReleaseRecord | None,
    *,
    registry: str,
    published: Sequence[PublishedImage],
    known: Collection[str],
) -> tuple[PublishedImage, ...]:
    """`published` and, of the record before, the catalog's other units: a partial release adds to
    what deployers see, it does not take the rest away. Those of the home registry, sorted by identifier."""
    new = {image.identifier: image for image in published}
    old = (
        {image.identifier: image for image in before.home if image.identifier in known}
        if before and before.registry == registry
        else {}
    )
    return tuple(image for _, image in sorted((old | new).items()))
