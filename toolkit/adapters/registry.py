"""A registry over HTTP, by the OCI distribution specification.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

import hashlib
import io
import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal
from urllib.parse import quote

from toolkit.adapters.registry_credentials import Credentials
from toolkit.adapters.registry_dialogue import Dialogue
from toolkit.adapters.registry_errors import no_registry, read_answer
from toolkit.adapters.registry_http import Connection, Patience
from toolkit.adapters.registry_upload import PIECE, Uploads, skip
from toolkit.adapters.throttle import Throttle
from toolkit.blobs import CHUNK, CheckedBlob
from toolkit.errors import Conflict, DigestMismatch, RegistryTrouble, RegistryUnavailable
from toolkit.oci import MANIFEST_TYPES, Descriptor, Digest, Index, Manifest, parse_manifest
from toolkit.publish import BlobSource, Content, OnSession, Registry, unheard
from toolkit.quotas import ECR_RATES, Api
from toolkit.record import account_and_region

if TYPE_CHECKING:
    from toolkit.verify import ImageSource

# What registries must take at least, and what most take at most.
# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests
_MANIFEST_LIMIT = 4 << 20
_TAGS_LIMIT = 1 << 20


class HttpRegistry:
    """`host` as references spell it. Plain HTTP for this machine itself, unless `scheme` says otherwise.

    `docker_config` is the directory of Docker's config.json, where `docker login` keeps credentials, unless
    `credentials` are asked instead; `ca_bundle` a PEM file of what to trust besides the system's; blobs of
    more than `piece` bytes are uploaded in pieces. Nothing is sent before the first call.
    """

    def __init__(
        self,
        host: str,
        *,
        docker_config: Path,
        ca_bundle: Path | None = None,
        scheme: Literal["http", "https"] | None = None,
        credentials: Credentials | None = None,
        patience: Patience | None = None,
        piece: int = PIECE,
    ) -> None:
        is_ecr = account_and_region(host) != ("", "")
        self._connection = Connection(
            host,
            docker_config=docker_config,
            ca_bundle=ca_bundle,
            scheme=scheme,
            credentials=credentials,
            throttle=Throttle(rates=ECR_RATES if is_ecr else {}),
            patience=patience,
        )
        self._dialogue = Dialogue(self._connection)
        # ECR takes a second piece and forgets it: https://github.com/aws/containers-roadmap/issues/2831
        self._uploads = Uploads(self._dialogue, piece=0 if is_ecr else piece)

    @property
    def host(self) -> str:
        return self._connection.host

    @property
    def sends_pieces(self) -> bool:
        """Whether a large blob is uploaded in pieces of which those that arrived need not be sent again."""
        return self._uploads.sends_pieces

    def close(self) -> None:
        """Close the pooled connections."""
        self._connection.close()

    def lookup_descriptor(self, repository: str, selector: str) -> Descriptor | None:
        call = self._dialogue.call(
            Api.READ_MANIFEST,
            "HEAD",
            repository,
            f"manifests/{selector}",
            what=f"find {_name(repository, selector)}",
        )
        response, body = self._connection.ask(call)
        if not self._dialogue.is_there(call, response, body):
            return None
        digest, media_type, length = (
            response.headers.get(name, "")
            for name in ("docker-content-digest", "content-type", "content-length")
        )
        if not (digest and length.isdigit() and int(length) and media_type in MANIFEST_TYPES):
            # The headers are not required of a registry, and a proxy may say that a HEAD has no length: the
            # manifest itself has all there is to know.
            manifest = self.lookup_manifest(repository, selector)
            return Descriptor.of(manifest.raw, manifest.media_type) if manifest else None
        if _algorithm(selector) and digest != selector:
            raise DigestMismatch(self._reference(repository, selector), expected=selector, actual=digest)
        return Descriptor(media_type=media_type, digest=self._dialogue.digest(digest), size=int(length))

    def lookup_manifest(self, repository: str, selector: str) -> Manifest | Index | None:
        call = self._dialogue.call(
            Api.READ_MANIFEST,
            "GET",
            repository,
            f"manifests/{selector}",
            what=f"read {_name(repository, selector)}",
        )
        response, raw = self._connection.ask(call, limit=_MANIFEST_LIMIT)
        if not self._dialogue.is_there(call, response, raw):
            return None
        if len(raw) > _MANIFEST_LIMIT:
            raise no_registry(self.host, f"{call.url.path} is longer than any manifest")
        for promised in (response.headers.get("docker-content-digest", ""), selector):
            if algorithm := _algorithm(promised):
                actual = f"{algorithm}:{hashlib.new(algorithm, raw).hexdigest()}"
                if actual != promised:
                    raise DigestMismatch(
                        self._reference(repository, selector), expected=promised, actual=actual
                    )
        media_type = response.headers.get("content-type", "").partition(";")[0].strip()
        try:
            return parse_manifest(raw, media_type if media_type in MANIFEST_TYPES else "")
        except ValueError as error:
            raise RegistryTrouble(
                f"{self._reference(repository, selector)} is no image that can be read: {error}",
                remedy="Push it again with a current client.",
            ) from error

    def list_tags(self, repository: str) -> tuple[str, ...]:
        found: list[str] = []
        page = "tags/list"
        while page:
            call = self._dialogue.call(
                Api.LIST_TAGS, "GET", repository, page, what=f"list the tags of {repository}"
            )
            response, body = self._connection.ask(call, limit=_TAGS_LIMIT)
            if not self._dialogue.is_there(call, response, body):
                return ()
            try:
                found += (str(tag) for tag in json.loads(body)["tags"] or ())
            except (ValueError, KeyError, TypeError) as error:
                raise no_registry(self.host, f"{call.url.path} is not a list of tags") from error
            page = _next_page(response.headers.get("link", ""), page)
        return tuple(found)

    def has_blob(self, repository: str, digest: Digest) -> bool:
        call = self._dialogue.call(
            Api.FIND_BLOB, "HEAD", repository, f"blobs/{digest}", what=f"look for a blob in {repository}"
        )
        response, body = self._connection.ask(call)
        return self._dialogue.is_there(call, response, body)

    def mount_blob(self, repository: str, digest: Digest, *, source: str) -> bool:
        query = f"?mount={quote(digest, safe='')}&from={quote(source, safe='')}"
        plain = self._dialogue.call(
            Api.START_UPLOAD,
            "POST",
            repository,
            f"blobs/uploads/{query}",
            what=f"take a blob over from {source}",
        )
        call = replace(plain, scopes=(*plain.scopes, f"repository:{source}:pull"))
        response, body = self._connection.ask(call)
        if response.status_code == 201:
            return True
        if response.status_code == 202:
            self._uploads.cancel(repository, response)
            return False
        error = self._dialogue.refusal(call, response, body)
        if isinstance(error, RegistryUnavailable):
            raise error
        # Not to be had from there. If the reason concerns the upload too, the upload will tell.
        return False

    def upload_blob(
        self,
        repository: str,
        descriptor: Descriptor,
        content: Content,
        *,
        session: str = "",
        on_session: OnSession = unheard,
    ) -> None:
        self._uploads.upload(repository, descriptor, content, session=session, on_session=on_session)

    def put_manifest(self, repository: str, selector: str, manifest: Manifest | Index) -> Digest:
        plain = self._dialogue.call(
            Api.PUT_MANIFEST,
            "PUT",
            repository,
            f"manifests/{selector}",
            what=f"put {_name(repository, selector)}",
        )
        call = replace(plain, headers={"Content-Type": manifest.media_type}, content=lambda: manifest.raw)
        response, body = self._connection.ask(call)
        if response.status_code in (200, 201, 202):
            if answered := response.headers.get("docker-content-digest"):
                return self._dialogue.digest(answered)
            found = self.lookup_descriptor(repository, selector)
            if found is None:
                raise no_registry(self.host, f"it took {_name(repository, selector)}, but has nothing there")
            return found.digest
        if read_answer(response, body).is_immutable_tag:
            found = self.lookup_descriptor(repository, selector)
            if found and found.digest == manifest.digest:
                return found.digest
            raise Conflict(
                f"{self._reference(repository, selector)} is an immutable tag of "
                f"{found.digest if found else 'another image'}; it cannot be given to {manifest.digest}",
                remedy="Give the image a new revision in images.toml: `revision = 2` makes its tags end in "
                "-r2. Or use what is there.",
            )
        raise self._dialogue.refusal(call, response, body)

    @contextmanager
    def open_blob(self, repository: str, descriptor: Descriptor) -> Iterator[BinaryIO]:
        with self.open_rest(repository, descriptor, 0) as body:
            checked = CheckedBlob(body, descriptor, where=f"{self.host}/{repository}")
            yield io.BufferedReader(checked, CHUNK)

    @contextmanager
    def open_rest(self, repository: str, descriptor: Descriptor, start: int) -> Iterator[BinaryIO]:
        call = self._dialogue.call(
            Api.READ_BLOB,
            "GET",
            repository,
            f"blobs/{descriptor.digest}",
            what=f"read a blob of {repository}",
            headers={"Range": f"bytes={start}-"} if start else {},
        )
        with self._connection.open(call) as response:
            if response.status_code == 404:
                raise RegistryTrouble(
                    f"{self.host}/{repository}: blob {descriptor.digest} is missing",
                    remedy="Push the image again; the registry's clean-up may have removed it.",
                )
            if response.status_code not in (200, 206):
                raise self._dialogue.refusal(call, response, self._connection.read(response, CHUNK))
            body = self._connection.body(response)
            if response.status_code == 200:  # the whole, whatever was asked for
                skip(body, start)
            yield body

    def _reference(self, repository: str, selector: str) -> str:
        return f"{self.host}/{_name(repository, selector)}"


def _name(repository: str, selector: str) -> str:
    return f"{repository}{'@' if ':' in selector else ':'}{selector}"


def _algorithm(text: str) -> str | None:
    """The hash of a digest, None for a tag."""
    try:
        return Digest(text).algorithm
    except ValueError:
        return None


@dataclass(frozen=True)
class RegistryImages:
    """The images of one repository; conforms to verify.ImageSource and publish.BlobSource."""

    registry: Registry
    repository: str

    @property
    def name(self) -> str:
        return f"{self.registry.host}/{self.repository}"

    def get_manifest(self, selector: str) -> Manifest | Index:
        """Raises RegistryTrouble, with the tags that come nearest, when there is none."""
        manifest = self.registry.lookup_manifest(self.repository, selector)
        if manifest is None:
            raise RegistryTrouble(
                f"{self.registry.host}/{_name(self.repository, selector)}: no such image",
                remedy=self._suggestion(selector),
            )
        return manifest

    def open_blob(self, descriptor: Descriptor) -> AbstractContextManager[BinaryIO]:
        return self.registry.open_blob(self.repository, descriptor)

    def _suggestion(self, selector: str) -> str:
        import difflib

        tags: tuple[str, ...] = ()
        with suppress(RegistryTrouble):
            tags = self.registry.list_tags(self.repository)
        if not tags:
            return "Check the name: there is no such repository, or it is empty or does not list its tags."
        near = difflib.get_close_matches(selector, tags, n=3) or sorted(tags)[:3]
        return f"Did you mean {' or '.join(near)}? The repository has {len(tags)} tags."


def _conforms(registry: HttpRegistry, images: RegistryImages) -> tuple[Registry, "ImageSource", BlobSource]:
    return registry, images, images


def _next_page(link: str, page: str) -> str:
    """The page of tags that comes behind `page`, "" for none: a page that names itself again is the last.

    https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags
    """
    found = re.search(r'<[^>]*/(tags/list\?[^>]+)>\s*;\s*rel="?next"?', link)
    return found[1] if found and found[1] != page else ""
