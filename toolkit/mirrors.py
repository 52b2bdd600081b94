"""Where things are fetched from on this machine: one table of places and credentials by role.

The environment that pip, uv and the AWS tools already use is heard first, then [mirrors] of images.toml.
What stands in for a vendor's own place is asked in its stead and never written down: locks, records
and Dockerfiles name the vendor. README, "Behind a mirror or a CA", has the same table for people.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from toolkit.catalog.mirror import CatalogMirrors
from toolkit.catalog.model import Source, SourceKind
from toolkit.errors import UsageError
from toolkit.oci import Reference

Credentials = Callable[[str], tuple[str, str] | None]
"""User name and password for a host, as ~/.netrc has them."""

INDEX = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
FURTHER_INDEXES = ("UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL")
FIND_LINKS = ("UV_FIND_LINKS", "PIP_FIND_LINKS")
OBJECTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
CA_BUNDLE = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
APT = "DEBIAN_MIRROR"
APT_SECURITY = "DEBIAN_SECURITY_MIRROR"
APT_SOURCES = "APT_SOURCES_LIST"

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
_VIRTUAL_HOST = re.compile(r"(?P<bucket>[a-z0-9][a-z0-9.-]+)\.s3(?:[.-][a-z0-9-]+)?\.amazonaws\.com")
_PATH_STYLE = re.compile(r"s3(?:[.-][a-z0-9-]+)?\.amazonaws\.com")
_APT_URL = re.compile(r"https?://[^\s\]]+")


@dataclass(frozen=True, kw_only=True)
class Places:
    """URLs here may carry credentials: they go into requests and build secrets, never into a text.

    `index` is "" for the public one; `further_indexes` are asked before it; `find_links` are pages or
    directories; `sources` has the URL that answers for a vendor's place by its name.
    """

    index: str
    further_indexes: tuple[str, ...]
    find_links: tuple[str, ...]
    objects: str
    apt: str
    apt_security: str
    sources: Mapping[str, str]
    registries: Mapping[str, str]
    credentials: Credentials

    def source_url(self, source: Source) -> str:
        """What answers for a vendor's place on this machine."""
        return self._with_credentials(self.sources.get(source.name) or self._as_object(source.url))

    def located(self, url: str, sources: Iterable[Source]) -> str:
        """Where a file below one of the vendors' places is found on this machine; what is below the
        package index, with its credentials."""
        own = without_credentials(self.index).rstrip("/")
        if own and (url == own or url.startswith(f"{own}/")):
            return self.index.rstrip("/") + url[len(own) :]
        for source in sources:
            prefix = source.url.rstrip("/")
            if source.name in self.sources and (url == prefix or url.startswith(f"{prefix}/")):
                return self._with_credentials(self.sources[source.name].rstrip("/") + url[len(prefix) :])
        return self._with_credentials(self._as_object(url))

    def registry_mirror(self, reference: Reference) -> Reference:
        """The same image in the registry that stands in for its own, else the reference itself."""
        mirror = self.registries.get(reference.registry)
        if not mirror:
            return reference
        host, _, path = mirror.partition("/")
        repository = f"{path}/{reference.repository}" if path else reference.repository
        separator = "@" if reference.selector.startswith("sha256:") else ":"
        return Reference.parse(f"{host}/{repository}{separator}{reference.selector}")

    def _as_object(self, url: str) -> str:
        """An S3 object's URL at the endpoint that stands in for S3, which takes the bucket as a path."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if self.objects and (found := _VIRTUAL_HOST.fullmatch(host)):
            return f"{self.objects.rstrip('/')}/{found['bucket']}{parts.path}"
        if self.objects and _PATH_STYLE.fullmatch(host):
            return f"{self.objects.rstrip('/')}{parts.path}"
        return url

    def _with_credentials(self, url: str) -> str:
        return with_credentials(url, self.credentials)


def get_places(
    mirrors: CatalogMirrors,
    environment: Mapping[str, str],
    *,
    sources: Iterable[Source],
    configured_index: Callable[[], str],
    credentials: Credentials,
) -> Places:
    """`configured_index` says what pip.conf names, which is asked for where the environment is silent."""

    def said(*names: str) -> str:
        return next((environment[name] for name in names if environment.get(name)), "")

    answering = {
        each.name: _answering(each, said(variable(each.name)) or mirrors.sources.get(each.name, ""), said)
        for each in sources
    }
    further = next((_words(environment[name]) for name in FURTHER_INDEXES if environment.get(name)), ())
    links = next((_words(environment[name]) for name in FIND_LINKS if environment.get(name)), ())
    return Places(
        index=with_credentials(said(*INDEX) or configured_index() or mirrors.index, credentials),
        further_indexes=tuple(with_credentials(url, credentials) for url in further),
        find_links=tuple(with_credentials(url, credentials) for url in links or mirrors.find_links),
        objects=said(*OBJECTS) or mirrors.objects,
        apt=with_credentials(said(APT) or mirrors.apt, credentials),
        apt_security=with_credentials(said(APT_SECURITY) or mirrors.apt_security, credentials),
        sources={name: url for name, url in answering.items() if url},
        registries=mirrors.registries,
        credentials=credentials,
    )


def variable(source: str) -> str:
    """The environment variable that names what stands in for a source."""
    return f"MIRROR_{_upper(source)}"


def with_credentials(url: str, credentials: Credentials) -> str:
    """A URL with the user name and password of its host, unless it has some or is none."""
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.scheme not in ("http", "https"):
        return url
    found = credentials(parts.hostname or "")
    return _logged_in(url, *found) if found else url


def without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def apt_with_logins(sources: str, credentials: Credentials) -> tuple[str, str]:
    """apt's sources without any login, and an auth.conf with those of their URLs.

    A login stands in the URL or is that of its host. apt shows the URLs that it cannot fetch with their
    logins, and unquotes them before it takes them apart. Raises UsageError for what no auth.conf can hold.
    https://manpages.debian.org/bookworm/apt/apt_auth.conf.5.en.html
    """
    logins: dict[str, tuple[str, str]] = {}

    def plain(found: re.Match[str]) -> str:
        parts, url = urlsplit(found[0]), without_credentials(found[0])
        host = parts.hostname or ""
        login = credentials(host)
        if parts.username is not None:
            login = (unquote(parts.username), unquote(parts.password or ""))
        if login:
            if not all(word and not re.search(r"\s", word) for word in login):
                raise UsageError(
                    f"apt cannot log in at {host}: user name or password is empty or has a blank",
                    remedy="apt's auth.conf holds neither: let the mirror give this machine another login.",
                )
            logins[url.partition("://")[2]] = login
        return url

    listed = _APT_URL.sub(plain, sources)
    # apt 2.0 means http only where it is named; that of Ubuntu 18.04 knows no protocols and matches the host.
    # The one with the longer path first: apt takes the first that fits.
    return listed, "".join(
        f"machine {protocol}{place} login {user} password {password}\n"
        for place, (user, password) in sorted(logins.items(), reverse=True)
        for protocol in ("http://", "")
    )


def _answering(source: Source, stand_in: str, said: Callable[[str], str]) -> str:
    """The URL that answers for a source, "" where that is its own without more.

    A login for an index may stand in uv's variables:
    https://docs.astral.sh/uv/concepts/indexes/#providing-credentials-directly
    """
    name = _upper(source.name)
    user, password = said(f"UV_INDEX_{name}_USERNAME"), said(f"UV_INDEX_{name}_PASSWORD")
    if source.kind is SourceKind.INDEX and (user or password):
        return _logged_in(stand_in or source.url, user, password)
    return stand_in


def _logged_in(url: str, user: str, password: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{host}"))


def _upper(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def _words(text: str) -> tuple[str, ...]:
    """uv and pip take several, with spaces between; uv's may have a name: `NAME=URL`."""
    return tuple(re.sub(r"^[A-Za-z0-9._-]+=(?=https?://)", "", word) for word in text.split())
