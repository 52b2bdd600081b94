"""Requests about one repository and what their answers mean, for all that the registry protocol has."""

from collections.abc import Mapping

import httpx

from toolkit.adapters.registry_errors import no_registry
from toolkit.adapters.registry_http import REDIRECTS, Call, Connection
from toolkit.errors import RegistryTrouble
from toolkit.oci import MANIFEST_TYPES, Digest
from toolkit.quotas import Api


class Dialogue:
    """What HttpRegistry and its uploads share."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @property
    def host(self) -> str:
        return self.connection.host

    def call(
        self,
        api: Api,
        method: str,
        repository: str,
        path: str,
        *,
        what: str,
        headers: Mapping[str, str] | None = None,
    ) -> Call:
        """`path` is what follows /v2/REPOSITORY/."""
        actions = "pull" if method in ("GET", "HEAD") else "pull,push"
        accept = {"Accept": ", ".join(MANIFEST_TYPES)} if path.startswith("manifests/") else {}
        return Call(
            api=api,
            method=method,
            url=self.connection.base.join(f"/v2/{repository}/{path}"),
            what=what,
            repository=repository,
            scopes=(f"repository:{repository}:{actions}",),
            headers={**accept, **(headers or {})},
        )

    def location(self, response: httpx.Response) -> httpx.URL:
        """Where an upload goes on."""
        location = response.headers.get("location")
        if not location:
            raise no_registry(self.host, "it starts an upload without saying where to")
        return self.connection.resolve(location, response.url)

    def is_there(self, call: Call, response: httpx.Response, body: bytes) -> bool:
        """False for 404. Raises for every answer that is neither that nor what was asked for."""
        # GET was redirected already; of a HEAD it is enough to know that there is a place to go to.
        if response.status_code == 200 or (call.method == "HEAD" and response.status_code in REDIRECTS):
            self._ensure_no_page(response)
            return True
        error = self.refusal(call, response, body)
        if response.status_code == 404:
            return False
        raise error

    def refusal(self, call: Call, response: httpx.Response, body: bytes) -> RegistryTrouble:
        self._ensure_no_page(response)
        return self.connection.refusal(call, response, body)

    def digest(self, text: str) -> Digest:
        try:
            return Digest(text)
        except ValueError as error:
            raise no_registry(self.host, f"{text[:80]!r} is not a digest") from error

    def _ensure_no_page(self, response: httpx.Response) -> None:
        """Raises for a web server in the registry's place; those say 200 and 404 too."""
        page = response.headers.get("content-type", "").startswith("text/html")
        if page and response.status_code in (200, 404):
            raise no_registry(self.host, f"{response.status_code} and a web page for {response.url.path}")
