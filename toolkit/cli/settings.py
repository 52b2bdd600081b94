"""Where things are and what the environment says: the only reader of os.environ."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from toolkit.errors import UsageError
from toolkit.oci import Reference

DEFAULT_REGISTRY = "localhost:5000"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One project on disk. `cache` may be deleted at any time, `dist` is what a release leaves."""

    catalog: Path
    environment: Mapping[str, str]

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
        """The CA bundle that this machine's tools are told to trust, if one is named."""
        for name in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"):
            if path := self.environment.get(name):
                if not Path(path).is_file():
                    raise UsageError(
                        f"{name} names {path}, which is not a file", remedy=f"Mend or unset {name}."
                    )
                return Path(path)
        return None

    @property
    def index_url(self) -> str:
        """The package index that the environment names for pip or uv, "" when it names none."""
        names = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
        return next((self.environment[name] for name in names if self.environment.get(name)), "")

    @property
    def docker_config(self) -> Path:
        home = self.environment.get("HOME") or "/"
        return Path(self.environment.get("DOCKER_CONFIG") or f"{home}/.docker")

    @property
    def region(self) -> str:
        """The region that the environment names for AWS's tools, "" when it names none."""
        return self.environment.get("AWS_REGION") or self.environment.get("AWS_DEFAULT_REGION") or ""

    def uv_environment(self, index_url: str) -> dict[str, str]:
        """What uv sees when the package index is `index_url`, "" for its default."""
        index = {"UV_DEFAULT_INDEX": index_url} if index_url else {}
        certificates = {"SSL_CERT_FILE": str(self.ca_bundle)} if self.ca_bundle else {}
        return {**self.environment, **index, **certificates}


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
