"""Where things are and what the environment says: the only reader of os.environ."""

import netrc
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from toolkit.catalog.mirror import CatalogMirrors
from toolkit.catalog.model import Source
from toolkit.errors import UsageError
from toolkit.mirrors import CA_BUNDLE
from toolkit.oci import Reference

DEFAULT_REGISTRY = "localhost:5000"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One project on disk. `cache` may be deleted at any time, `dist` is what a release leaves.

    `mirrors` and `sources` are those of the catalog, once that was read.
    """

    catalog: Path
    environment: Mapping[str, str]
    mirrors: CatalogMirrors = field(default_factory=CatalogMirrors)
    sources: tuple[Source, ...] = ()

    @property
    def project(self) -> Path:
        return self.catalog.parent

    @property
    def lock(self) -> Path:
        return self.catalog.with_suffix(".lock")

    @property
    def dockerfiles(self) -> Path:
        return self.project / "dockerfiles"

    @property
    def cache(self) -> Path:
        return self.project / ".cache"

    @property
    def dist(self) -> Path:
        return self.project / "dist"

    @property
    def ca_bundle(self) -> Path | None:
        """The CAs that are trusted besides the system's, if a bundle is named."""
        for name in CA_BUNDLE:
            if path := self.environment.get(name):
                if not Path(path).is_file():
                    raise UsageError(
                        f"{name} names {path}, which is not a file", remedy=f"Mend or unset {name}."
                    )
                return Path(path)
        if not self.mirrors.ca_bundle:
            return None
        bundle = self.project / self.mirrors.ca_bundle
        if not bundle.is_file():
            raise UsageError(
                f"{self.catalog.name}: ca-bundle of [mirrors] names {bundle}, which is not a file",
                remedy="Mend the path, which begins where images.toml is, or remove the key.",
            )
        return bundle

    def lookup_login(self, host: str) -> tuple[str, str] | None:
        """User name and password for a host as curl, pip and uv read them from ~/.netrc or NETRC."""
        home = self.environment.get("HOME") or "/"
        path = Path(self.environment.get("NETRC") or f"{home}/.netrc")
        try:
            found = netrc.netrc(path).hosts.get(host)
        except FileNotFoundError:
            return None
        except (netrc.NetrcParseError, OSError, UnicodeDecodeError) as error:
            # The parser quotes the word it stumbled over, which may be a password.
            line = getattr(error, "lineno", None)
            raise UsageError(
                f"{path}{f':{line}' if line else ''} cannot be read as a netrc file",
                remedy="Write: machine HOST login USER password SECRET",
            ) from None
        return (found[0], found[2]) if found else None

    @property
    def docker_config(self) -> Path:
        home = self.environment.get("HOME") or "/"
        return Path(self.environment.get("DOCKER_CONFIG") or f"{home}/.docker")

    @property
    def region(self) -> str:
        """The region that the environment names for AWS's tools, "" when it names none."""
        return self.environment.get("AWS_REGION") or self.environment.get("AWS_DEFAULT_REGION") or ""


def from_environment(catalog: str) -> Settings:
    return Settings(catalog=Path(catalog).resolve(), environment=dict(os.environ))


def split_registry(text: str) -> tuple[str, str]:
    """`HOST[:PORT][/PATH]` as (host, path). Raises UsageError for anything that no reference can name."""
    host, _, prefix = text.rstrip("/").partition("/")
    try:
        # A host without dot and port would be read as a part of a repository's name.
        is_named = Reference.parse(f"{host}/{f'{prefix}/' if prefix else ''}name").registry == host
    except UsageError:
        is_named = False
    if not is_named:
        raise UsageError(
            f"{text!r} is not a registry",
            remedy="Write HOST[:PORT][/PATH], like localhost:5000 or registry.example/ml: without https://, "
            "the path in lower case.",
        )
    return host, prefix


def catalog_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--catalog",
        default="images.toml",
        show_default=True,
        metavar="FILE",
        help="The catalog; images.lock, dockerfiles/, .cache/ and dist/ are beside it.",
    )(command)


def registry_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--registry",
        default=DEFAULT_REGISTRY,
        show_default=True,
        envvar="REGISTRY",
        metavar="HOST[:PORT][/PATH]|NAME",
        help="Where images are published: a host, or a name of [registries] in the catalog. The environment "
        "variable REGISTRY says the same.",
    )(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout, for programs.")(
        command
    )
