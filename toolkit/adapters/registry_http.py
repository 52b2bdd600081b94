"""Requests to one registry: the way there, TLS, authorization, redirects; no httpx exception leaves."""

import io
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import httpx

import toolkit
from toolkit.adapters.certificates import trust
from toolkit.adapters.registry_auth import Authenticator, Scopes, parse_challenges
from toolkit.adapters.registry_credentials import Credentials, DockerCredentials
from toolkit.adapters.registry_errors import is_loopback, read_answer, refusal, unreachable
from toolkit.adapters.throttle import Throttle
from toolkit.errors import RegistryTrouble, UsageError
from toolkit.quotas import Api

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Docker Hub's name in references is not the name of its registry.
_SERVED_AT = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}

_POOL = httpx.Limits(max_connections=64, max_keepalive_connections=32)


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Seconds after which a silent connection counts as dead: for the next bytes of an answer or of a
    request, and for the answer to a whole blob, as a registry may copy a large one before it says so."""

    connect: float = 10.0
    silence: float = 30.0
    stored: float = 900.0

    def timeout(self, *, stores: bool) -> httpx.Timeout:
        read = self.stored if stores else self.silence
        return httpx.Timeout(self.silence, connect=self.connect, read=read)


REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5

# How much of a refusal is read for its words.
_REFUSAL_LIMIT = 64 << 10


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request. `what` completes "HOST could not …" in errors; `content` gives the body anew each time."""

    api: Api
    method: str
    url: httpx.URL
    what: str
    repository: str
    scopes: Scopes
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Callable[[], bytes | Iterable[bytes]] | None = None


class Connection:
    """HTTP to `host`: plain for this machine itself, TLS elsewhere; safe for threads.

    `docker_config` is the directory of Docker's config.json, `ca_bundle` a PEM file of what to
    trust besides the system's certificates. `credentials` are asked instead of Docker's
    configuration.
    """

    def __init__(
        self,
        host: str,
        *,
        docker_config: Path,
        ca_bundle: Path | None,
        scheme: str | None,
        credentials: Credentials | None = None,
        throttle: Throttle | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.host = host
        self._throttle = throttle or Throttle()
        self._patience = patience or Patience()
        self.base = _base(_SERVED_AT.get(host, host), scheme)
        self._ca_bundle = ca_bundle
        self._clients: dict[tuple[bool, str], httpx.Client] = {}
        self._lock = threading.Lock()
        asked = credentials or DockerCredentials(directory=docker_config)
        self._authenticator = Authenticator(
            host,
            lookup=lambda refused: asked.lookup_credential(host, refused=refused),
            send=self._ask_token_server,
        )

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    @contextmanager
    def open(self, call: Call) -> Iterator[httpx.Response]:
        """The answer to a call, of any status, with its body still to be read."""
        response = self._authorized(call)
        try:
            for _ in range(_MAX_REDIRECTS):
                if call.method != "GET" or response.status_code not in REDIRECTS:
                    break
                response.close()
                target = self.resolve(response.headers.get("location", ""), response.url)
                # To another host, S3 for one, no authorization goes along.
                response = self._authorized(replace(call, url=target))
            yield response
        finally:
            response.close()

    def ask(self, call: Call, *, limit: int = _REFUSAL_LIMIT) -> tuple[httpx.Response, bytes]:
        """The answer to a call and its body, read to the end unless that is beyond `limit` bytes."""
        with self.open(call) as response:
            return response, self.read(response, limit)

    def refusal(self, call: Call, response: httpx.Response, body: bytes) -> RegistryTrouble:
        """The error that a status other than the expected one means."""
        answer = read_answer(response, body)
        if response.status_code == 429:
            self._throttle.too_many(call.api, answer.retry_after)
        answer = replace(answer, text=self._authenticator.hide(answer.text))
        error = refusal(answer, host=self.host, what=call.what, repository=call.repository)
        if response.status_code in (401, 403) and (trouble := self._authenticator.trouble):
            return RegistryTrouble(f"{error.message}; {trouble.message}", remedy=trouble.remedy)
        return error

    def read(self, response: httpx.Response, limit: int) -> bytes:
        """At most `limit` bytes of the body and what came with them."""
        body = bytearray()
        for chunk in self.chunks(response):
            body += chunk
            if len(body) > limit:
                break
        return bytes(body)

    def chunks(self, response: httpx.Response) -> Iterator[bytes]:
        """The body as it comes, not decoded."""
        try:
            yield from response.iter_raw()
        except httpx.HTTPError as error:
            raise unreachable(error, host=self._name(response.url)) from error

    def body(self, response: httpx.Response) -> BinaryIO:
        """The body as a file."""
        return io.BufferedReader(_Body(self.chunks(response)), 1 << 20)

    def resolve(self, location: str, base: httpx.URL) -> httpx.URL:
        """A Location header. A registry behind a TLS proxy may spell its own address with http."""
        try:
            url = base.join(location)
        except httpx.InvalidURL as error:
            raise RegistryTrouble(f"{self.host} sends to an address that is none") from error
        if url.host == self.base.host and self.base.scheme == "https" and url.scheme == "http":
            return url.copy_with(scheme="https", port=self.base.port)
        if url.scheme not in ("http", "https") or (base.scheme == "https" and url.scheme == "http"):
            raise RegistryTrouble(
                f"{self.host} sends to {url.host}, which is not HTTPS",
                remedy="Ask whoever runs the registry to put TLS before it.",
            )
        return url

    def _authorized(self, call: Call) -> httpx.Response:
        """Send; after a 401 or 403 once more with another authorization, if there is one."""
        if not self._is_own(call.url):
            return self._send(call, None)
        header = self._authenticator.header(call.scopes)
        response = self._send(call, header)
        if response.status_code not in (401, 403):
            return response
        challenges = parse_challenges(response.headers.get_list("www-authenticate"))
        try:
            if response.status_code == 401:
                fresh = self._authenticator.renew(challenges, call.scopes, refused=header)
            else:
                fresh = self._authenticator.replaced(header)
        except BaseException:
            response.close()
            raise
        if fresh is None:
            return response
        # Read, so that the connection can be used again.
        self.read(response, _REFUSAL_LIMIT)
        response.close()
        return self._send(call, fresh)

    def _send(self, call: Call, authorization: str | None) -> httpx.Response:
        client = self._client(call.url)
        self._throttle.wait(call.api)
        headers = dict(call.headers) | ({"Authorization": authorization} if authorization else {})
        request = client.build_request(
            call.method,
            call.url,
            headers=headers,
            content=call.content() if call.content else None,
            timeout=self._patience.timeout(stores=call.api is Api.END_UPLOAD),
        )
        try:
            return client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise unreachable(error, host=self._name(call.url)) from error

    def _ask_token_server(self, request: httpx.Request) -> httpx.Response:
        try:
            return self._client(request.url).send(request)
        except httpx.HTTPError as error:
            raise unreachable(error, host=self._name(request.url)) from error

    def _name(self, url: httpx.URL) -> str:
        """For messages: the host as people spell it."""
        return self.host if self._is_own(url) else url.netloc.decode()

    def _is_own(self, url: httpx.URL) -> bool:
        return (url.scheme, url.netloc) == (self.base.scheme, self.base.netloc)

    def _client(self, url: httpx.URL) -> httpx.Client:
        """One pool for each way: through the environment's proxies or, to this machine itself, not;
        and with certificates, which take time to load, only where there is TLS."""
        loopback = is_loopback(url.host)
        with self._lock:
            key = (loopback, url.scheme)
            if key not in self._clients:
                self._clients[key] = self._make_client(loopback=loopback, tls=url.scheme == "https")
            return self._clients[key]

    def _make_client(self, *, loopback: bool, tls: bool) -> httpx.Client:
        agent = f"multiarch-images/{toolkit.__version__}"
        try:
            return httpx.Client(
                verify=trust(self._ca_bundle) if tls else False,
                # Go's clients, Docker's too, use no proxy for this machine, whatever NO_PROXY says.
                trust_env=not loopback,
                limits=_POOL,
                timeout=self._patience.timeout(stores=False),
                headers={"User-Agent": agent, "Accept-Encoding": "identity"},
            )
        except (ImportError, ValueError) as error:
            raise RegistryTrouble(
                f"the proxy that the environment names for {self.host} cannot be used: "
                "it must be http or https",
                remedy="Check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY.",
            ) from error


class _Body(io.RawIOBase):
    """A response body as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        piece = self._rest[: len(view)]
        self._rest = self._rest[len(piece) :]
        view[: len(piece)] = piece
        return len(piece)


def _base(address: str, scheme: str | None) -> httpx.URL:
    try:
        loopback = is_loopback(httpx.URL(f"//{address}").host)
        return httpx.URL(f"{scheme or ('http' if loopback else 'https')}://{address}")
    except httpx.InvalidURL as error:
        raise UsageError(
            f"{address!r} is not a registry host: {error}", remedy="Write HOST[:PORT], like localhost:5000."
        ) from error
