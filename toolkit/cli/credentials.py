"""Who this run is to registries: docker's logins and, for Amazon ECR, tokens that AWS gives."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.cli.settings import Settings
from toolkit.machine.facts import Facts
from toolkit.regions import parse_ecr_host

if TYPE_CHECKING:
    from toolkit.adapters.registry_credentials import Credentials


def credentials_of(settings: Settings, host: str) -> "Credentials":
    """What is asked for the credential of `host`."""
    from toolkit.adapters.registry_credentials import DockerCredentials

    if parse_ecr_host(host):
        return _ecr_tokens(settings.docker_config, settings.ca_bundle)
    return DockerCredentials(directory=settings.docker_config)


@cache
def _ecr_tokens(docker_config: Path, ca_bundle: Path | None) -> "Credentials":
    """The same for the whole run, so that each registry is asked for one token."""
    from toolkit.adapters.ecr_tokens import EcrTokens, ask_ecr
    from toolkit.adapters.registry_credentials import DockerCredentials

    return EcrTokens(
        ask=partial(ask_ecr, ca_bundle=ca_bundle), others=DockerCredentials(directory=docker_config)
    )


def private_docker_config(
    settings: Settings, hosts: Iterable[str]
) -> AbstractContextManager[Callable[[], Path] | None]:
    """A DOCKER_CONFIG with tokens for those of `hosts` that are of ECR, for docker clients of this run."""
    of_ecr = tuple(dict.fromkeys(host for host in hosts if parse_ecr_host(host)))
    if not of_ecr:
        return nullcontext(None)
    from toolkit.adapters.docker_home import docker_home

    return docker_home(
        settings.docker_config,
        settings.cache / "docker-config",
        hosts=of_ecr,
        credentials=_ecr_tokens(settings.docker_config, settings.ca_bundle),
    )


def with_token(facts: Facts, settings: Settings, host: str) -> Facts:
    """`facts` with the credential that AWS gives for a host of ECR, where docker has none."""
    if facts.credential or parse_ecr_host(host) is None:
        return facts
    from toolkit.adapters.registry_credentials import CredentialTrouble

    try:
        found = credentials_of(settings, host).lookup_credential(host)
    except CredentialTrouble:
        return facts
    return replace(facts, credential="a token that AWS gives") if found else facts
