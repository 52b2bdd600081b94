"""Files over HTTP from vendors' places or what stands in for them; no httpx exception leaves.

What is said about an address never holds its credentials, and a `reason` never the host of a mirror:
reasons are written into images.lock.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

import toolkit
from toolkit.adapters.certificates import trust
from toolkit.errors import SourceUnreachable, UsageError

# A place that answers, answers soon; the bytes of a large file may take as long as they come.
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_ATTEMPTS = 3


class FileAbsent(UsageError):
    """The place answers, and has no such file."""


class Fetcher:
    """GETs of vendors' URLs. `located` says where a URL is found on this machine, with credentials.

    Safe for threads. Each host that cannot be reached is asked once: after that its reason is known.
    """

    def __init__(self, *, located: Callable[[str], str], ca_bundle: Path | None) -> None:
        self._located = located
        self._ca_bundle = ca_bundle
        self._client: httpx.Client | None = None
        self._dead: dict[str, str] = {}
        self._lock = threading.Lock()

    def get(self, url: str) -> bytes:
        """A small file. Raises SourceUnreachable or FileAbsent."""
        with self.open(url) as response:
            return response.read()

    def probe(self, url: str) -> None:
        """Raises SourceUnreachable when nothing answers at a URL; a refusal is an answer: the root of a
        bucket or a repository is often forbidden where its files are not."""
        try:
            with self.open(url):
                pass
        except FileAbsent:
            pass
        except SourceUnreachable:
            if _origin(self._located(url)) in self._dead:
                raise

    @contextmanager
    def open(self, url: str, *, start: int = 0) -> Iterator[httpx.Response]:
        """A file that is there, from byte `start` on where the place can do that: its status is 206, or 416
        when no byte is left."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        response = self._send(url, headers)
        try:
            yield response
        except httpx.HTTPError as error:
            raise self._unreachable(url, _cause(error)) from None
        finally:
            response.close()

    def _send(self, url: str, headers: Mapping[str, str]) -> httpx.Response:
        target = self._located(url)
        origin = _origin(target)
        if known := self._dead.get(origin):
            raise self._unreachable(url, known)
        why = ""
        for _ in range(_ATTEMPTS):
            try:
                client = self._open_client()
                request = client.build_request("GET", target, headers=headers)
                response = client.send(request, stream=True, follow_redirects=True)
            except httpx.ConnectError as error:
                why = _cause(error)
                break
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                why = _cause(error)
                if isinstance(error, httpx.ConnectTimeout):
                    break
                continue
            # 416: nothing is left of a file that was received to its end before.
            if response.status_code in (200, 206) or (headers and response.status_code == 416):
                return response
            response.close()
            if response.status_code in (404, 410):
                raise FileAbsent(
                    f"{_host(url)} does not have {urlsplit(url).path} "
                    f"(HTTP {response.status_code}{_by(url, target)})",
                    remedy="Mend the path, version or source in images.toml.",
                )
            why = f"it answers HTTP {response.status_code}"
            if response.status_code not in _PASSING:
                # The file may be forbidden where its place is not: others are still asked for.
                raise self._unreachable(url, why)
        with self._lock:
            self._dead[origin] = why
        raise self._unreachable(url, why)

    def _unreachable(self, url: str, why: str) -> SourceUnreachable:
        host = _host(url)
        by = _by(url, self._located(url))
        return SourceUnreachable(
            f"{host} cannot be reached{by}: {why}",
            remedy="Check the network, the mirror and the CA bundle (README, Behind a mirror or a CA), "
            "then run it again.",
            reason=f"{host} cannot be reached: {why}",
        )

    def _open_client(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                self._client = httpx.Client(
                    verify=trust(self._ca_bundle),
                    timeout=_TIMEOUT,
                    headers={
                        "User-Agent": f"multiarch-images/{toolkit.__version__}",
                        "Accept-Encoding": "identity",
                    },
                )
            return self._client


def _origin(url: str) -> str:
    return f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"


def _by(url: str, target: str) -> str:
    """Which other host was asked in its place; for people, never for the lock."""
    host = _host(target)
    return "" if host == _host(url) else f" (asked of {host} in its place)"


def _host(url: str) -> str:
    """With its port, without its login: the machine's own index is asked for by a URL that may have one."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _cause(error: Exception) -> str:
    """The same words on every machine, where the cause is one that is known."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in causes):
        return "its TLS certificate is not trusted"
    if any(isinstance(each, socket.gaierror) for each in causes):
        return "its name does not resolve"
    if any(isinstance(each, ConnectionRefusedError) for each in causes):
        return "it refuses connections"
    if isinstance(error, httpx.TimeoutException):
        return "it does not answer in time"
    if isinstance(error, httpx.ProxyError):
        return "the proxy does not let through to it"
    return "the connection breaks"
