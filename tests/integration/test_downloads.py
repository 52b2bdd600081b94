"""Files that builds take besides packages: from a real server, held against their sha256."""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.http_server import Received, Reply, serving
from toolkit.adapters.downloads import DownloadDiffers, Downloads
from toolkit.adapters.fetching import Fetcher, FileAbsent
from toolkit.errors import SourceUnreachable
from toolkit.lock import Folder, LockedDownload

VENDOR = "http://files.vendor.test"
CONTENT = bytes(range(256)) * 5000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = LockedDownload(
    folder=Folder.WHEELS, name="a-1-py3-none-any.whl", sha256=SHA256, url=f"{VENDOR}/dir/a.whl"
)


def downloads(directory: Path, at: str) -> Downloads:
    """What stands at VENDOR is asked of `at`, as with a mirror."""
    fetcher = Fetcher(located=lambda url: url.replace(VENDOR, at), ca_bundle=None)
    return Downloads(fetcher=fetcher, directory=directory)


def whole(request: Received) -> Reply:
    start = int(request.headers.get("range", "bytes=0-")[6:-1])
    if start >= len(CONTENT):
        return Reply(status=416)
    return Reply(status=206 if start else 200, body=CONTENT[start:])


def test_a_file_is_fetched_once_and_lies_under_its_path_in_the_context(tmp_path: Path) -> None:
    with serving(whole) as server:
        kept = downloads(tmp_path / "cache", server.url)
        for _ in range(2):
            context = kept.gather([FILE], tmp_path / "context")
    assert (context / "wheels" / "a-1-py3-none-any.whl").read_bytes() == CONTENT
    assert [request.path for request in server.requests] == ["/dir/a.whl"]


def test_a_context_has_only_the_files_of_its_unit(tmp_path: Path) -> None:
    (tmp_path / "context" / "debs").mkdir(parents=True)
    (tmp_path / "context" / "debs" / "left.deb").touch()
    with serving(whole) as server:
        context = downloads(tmp_path / "cache", server.url).gather([FILE], tmp_path / "context")
    assert [path.name for path in context.iterdir()] == ["wheels"]


def test_a_connection_that_breaks_is_taken_up_where_it_broke(tmp_path: Path) -> None:
    def cut(request: Received) -> Reply:
        if "range" not in request.headers:
            return Reply(body=CONTENT[:100_000], length=len(CONTENT))
        return whole(request)

    with serving(cut) as server:
        assert downloads(tmp_path, server.url).ensure(FILE).read_bytes() == CONTENT
    assert [request.headers.get("range") for request in server.requests] == [None, "bytes=100000-"]


@pytest.mark.parametrize("begun", [CONTENT[:1000], CONTENT, b"of another file"], ids=["part", "all", "other"])
def test_what_an_earlier_run_left_is_used_if_it_is_of_this_file(tmp_path: Path, begun: bytes) -> None:
    with serving(whole) as server:
        kept = downloads(tmp_path, server.url)
        part = tmp_path / "parts" / hashlib.sha256(FILE.url.encode()).hexdigest()[:32]
        part.mkdir(parents=True)
        (part / "content").write_bytes(begun)
        assert kept.ensure(FILE).read_bytes() == CONTENT


def test_a_kept_file_that_was_damaged_is_fetched_again(tmp_path: Path) -> None:
    (tmp_path / SHA256).write_bytes(b"damaged")
    with serving(whole) as server:
        assert downloads(tmp_path, server.url).ensure(FILE).read_bytes() == CONTENT


def test_other_bytes_than_the_locked_ones_are_refused_with_both_digests(tmp_path: Path) -> None:
    with serving(lambda request: Reply(body=b"other")) as server, pytest.raises(DownloadDiffers) as caught:
        downloads(tmp_path, server.url).ensure(FILE)
    assert FILE.url in caught.value.message
    assert SHA256 in caught.value.message
    assert hashlib.sha256(b"other").hexdigest() in caught.value.message
    assert "toolkit lock --upgrade" in caught.value.remedy


def test_when_locking_the_digest_is_that_of_what_came(tmp_path: Path) -> None:
    with serving(whole) as server:
        found, path = downloads(tmp_path, server.url).fetch(FILE.url)
    assert found == SHA256
    assert path.read_bytes() == CONTENT


def test_a_file_that_is_not_there_is_a_fault_and_no_outage(tmp_path: Path) -> None:
    absent = pytest.raises(FileAbsent, match=r"files\.vendor\.test does not have /dir/a\.whl")
    with serving(lambda request: Reply(status=404)) as server, absent as caught:
        downloads(tmp_path, server.url).fetch(FILE.url)
    assert "images.toml" in caught.value.remedy


def test_a_host_that_is_not_there_is_asked_once_and_its_reason_names_no_mirror(tmp_path: Path) -> None:
    with serving(whole) as server:
        pass
    kept = downloads(tmp_path, server.url.replace("//", "//user:secret@"))
    started = time.monotonic()
    for _ in range(20):
        with pytest.raises(SourceUnreachable) as caught:
            kept.ensure(FILE)
    assert time.monotonic() - started < 2
    assert caught.value.reason == "files.vendor.test cannot be reached: it refuses connections"
    assert f"(asked of {server.host} in its place)" in caught.value.message
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda request: Reply(status=503), "it answers HTTP 503"),
        (lambda request: Reply(status=403), "it answers HTTP 403"),
        (lambda request: Reply(status=200, body=b"", length=5), "the connection breaks"),
    ],
)
def test_a_place_that_gives_nothing_says_why(
    tmp_path: Path, answer: Callable[[Received], Reply], why: str
) -> None:
    with serving(answer) as server, pytest.raises(SourceUnreachable) as caught:
        downloads(tmp_path, server.url).fetch(FILE.url)
    assert caught.value.reason == f"files.vendor.test cannot be reached: {why}"


def test_credentials_go_to_the_place_they_are_for_and_not_along_a_redirect(tmp_path: Path) -> None:
    with serving(whole) as storage:
        redirect = Reply(status=302, headers={"Location": f"{storage.url}/stored"})
        with serving(lambda request: redirect) as front:
            at = front.url.replace("//", "//user:secret@").replace("127.0.0.1", "localhost")
            assert downloads(tmp_path, at).ensure(FILE).read_bytes() == CONTENT
    assert front.requests[0].authorization == "Basic dXNlcjpzZWNyZXQ="
    assert storage.requests[0].authorization is None
