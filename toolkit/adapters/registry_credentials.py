"""Credentials as `docker login` and Docker's credential helpers keep them.

https://docs.docker.com/reference/cli/docker/login/#credential-stores,
https://github.com/docker/docker-credential-helpers
"""

import base64
import json
import math
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from toolkit.errors import RegistryTrouble

# Docker Hub's credentials stand under the address of its first API.
# https://github.com/docker/cli/blob/master/cli/config/configfile/file.go
_STORED_AS = {"docker.io": "https://index.docker.io/v1/"}

# The user name that says that the secret is an identity token.
_IDENTITY_TOKEN = "<token>"

# Helpers may ask a cloud's API; amazon-ecr-credential-helper does.
_HELPER_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Credential:
    """A user name and password, or an identity token for the token server.

    From `until` on, on the monotonic clock, it is better to look up another one.
    """

    username: str
    secret: str = field(repr=False)
    until: float = math.inf

    @property
    def is_identity_token(self) -> bool:
        return self.username == _IDENTITY_TOKEN

    @property
    def basic(self) -> str:
        """The value of an Authorization header."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.secret}".encode()).decode()


class CredentialTrouble(RegistryTrouble):
    """There are credentials that cannot be got at."""


class Credentials(Protocol):
    """Where credentials come from."""

    def lookup_credential(self, host: str, *, refused: str | None = None) -> Credential | None:
        """None when nobody logged in to `host`. `refused` is the Authorization that it did not take.

        Raises CredentialTrouble, with no secret in its text.
        """


@dataclass(frozen=True, kw_only=True)
class DockerCredentials:
    """`directory` is what DOCKER_CONFIG names, ~/.docker by default."""

    directory: Path

    def lookup_credential(
        self,
        host: str,
        *,
        refused: str | None = None,  # noqa: ARG002  (of the Protocol: every look is a new one here)
    ) -> Credential | None:
        """Reads and asks anew each time, whatever was refused: a login may have come."""
        config = self._read()
        name = _STORED_AS.get(host, host)
        helper = _mapping(config, "credHelpers").get(host) or config.get("credsStore")
        if helper and (found := _ask_helper(str(helper), name)):
            return found
        wanted = {name, host}
        entries = _mapping(config, "auths")
        stored = [entry for key, entry in entries.items() if key in wanted or _host_of(key) == host]
        return next((found for entry in stored if (found := self._decode(entry, host))), None)

    def _read(self) -> Mapping[str, Any]:
        path = self.directory / "config.json"
        try:
            config = json.loads(path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise CredentialTrouble(
                f"{path} cannot be read: {error}", remedy=f"Mend it, or move it away and log in again: {path}"
            ) from error
        return config if isinstance(config, dict) else {}

    def _decode(self, entry: object, host: str) -> Credential | None:
        if not isinstance(entry, dict):
            return None
        if token := entry.get("identitytoken"):
            return Credential(username=_IDENTITY_TOKEN, secret=str(token))
        if not entry.get("auth"):
            return None
        try:
            username, colon, secret = base64.b64decode(str(entry["auth"])).decode().partition(":")
        except ValueError:
            colon = ""
        if not colon:
            # Not chained: the cause would quote the entry.
            raise CredentialTrouble(
                f"the entry of {host} in {self.directory / 'config.json'} is damaged",
                remedy=f"Log in again: docker login {host}",
            ) from None
        return Credential(username=username, secret=secret.rstrip("\0"))


def _mapping(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = config.get(key)
    return value if isinstance(value, dict) else {}


def _host_of(key: str) -> str:
    """Old entries have a scheme and a path: https://HOST/v1/."""
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _ask_helper(helper: str, name: str) -> Credential | None:
    program = f"docker-credential-{helper}"
    try:
        answer = subprocess.run(
            [program, "get"], input=name, capture_output=True, text=True, timeout=_HELPER_SECONDS, check=False
        )
        if answer.returncode:
            # Helpers have no other word for "nobody logged in" than this sentence on stdout.
            if "credentials not found" in answer.stdout:
                return None
            raise CredentialTrouble(
                f"{program} could not give the credentials of {name}: exit code {answer.returncode}",
                remedy=f"See what it says: echo {name} | {program} get",
            )
        fields = json.loads(answer.stdout)
        return Credential(username=fields["Username"], secret=fields["Secret"])
    except OSError as error:
        raise CredentialTrouble(
            f"Docker's config.json names the credential helper {program}, which does not start: "
            f"{error.strerror}",
            remedy=f"Install {program}, or take it out of config.json.",
        ) from error
    except subprocess.TimeoutExpired:
        raise CredentialTrouble(
            f"{program} did not answer within {_HELPER_SECONDS} s",
            remedy=f"See what it waits for: echo {name} | {program} get",
        ) from None
    except (ValueError, KeyError, TypeError):
        # Not chained: the cause would quote what the helper printed.
        raise CredentialTrouble(
            f"{program} printed no credentials for {name}",
            remedy=f"See what it says: echo {name} | {program} get",
        ) from None


def _conforms(docker: DockerCredentials) -> Credentials:
    return docker
