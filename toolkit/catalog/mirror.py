"""What [mirrors] says, as a frozen value: without what reads it, as every command's settings have one."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class CatalogMirrors:
    """What [mirrors] says, "" and empty where it says nothing; the environment is heard before it.

    `index` is the Python package index; `find_links` are pages or directories of wheels; `apt` and
    `apt_security` stand in for Debian's archives where bases are made, `apt_sources` has the sources.list
    that a registry base's own apt is given, by the base's name; `objects` is an endpoint that answers like
    S3, path style; `sources` has what stands in for a [sources] table by its name, `registries` what
    stands in for a registry of base images by its host; `ca_bundle` is a path from where images.toml is.
    """

    index: str = ""
    find_links: tuple[str, ...] = ()
    apt: str = ""
    apt_security: str = ""
    apt_sources: Mapping[str, str] = field(default_factory=dict)
    objects: str = ""
    ca_bundle: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    registries: Mapping[str, str] = field(default_factory=dict)
