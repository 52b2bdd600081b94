"""An image to a registry, and a list of two; `scripts.bench.publishing` does it as a release does."""

import functools
import itertools
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from scripts.bench import images, publishing
from scripts.bench.floor import floor_of
from scripts.bench.measuring import run, timed
from scripts.bench.rows import Contest, Row, Side, at_most
from tests.registry_process import running_registry
from toolkit.oci import Platform

_MIB = 1000
_PLATFORMS = ("linux/amd64", "linux/arm64")
_REGISTRY = "docker-registry of this machine with nothing else in it"


class There(Enum):
    """What the repository has before a push."""

    NOTHING = "nothing, and nobody has seen the registry before"
    BLOBS = "the image under other tags, and the tag is new"
    TAG = "the image under that tag"


class _Registry:
    """One registry at a time. A new one has a port of its own: nobody knows blobs of it to mount."""

    def __init__(self, directory: Path) -> None:
        self._home = directory / "registry"
        self._running = ExitStack()
        self._tags = map(str, itertools.count())
        self.reference = ""

    def renew(self) -> None:
        self.close()
        self._home.mkdir()
        self._running.callback(shutil.rmtree, self._home)
        self.name = f"{self._running.enter_context(running_registry(self._home))}/bench"

    def take_tag(self) -> None:
        """A tag that is not there yet is the one to put next."""
        self.reference = f"{self.name}:{next(self._tags)}"

    def close(self) -> None:
        self._running.close()


@contextmanager
def _registry() -> Iterator[tuple[Path, _Registry]]:
    """A directory for layouts, and a registry."""
    with tempfile.TemporaryDirectory(prefix="toolkit-bench-") as name:
        registry = _Registry(Path(name))
        registry.renew()
        try:
            yield Path(name) / "layout", registry
        finally:
            registry.close()


@contextmanager
def _loaded(layout: Path, mib: int) -> Iterator[str]:
    """An image as layout and in the engine; what to call it there."""
    digest = images.write_image(layout, mib, Platform.parse(_PLATFORMS[0])).digest
    run("sh", "-c", f"tar -C {layout} -cf - . | docker load")
    try:
        yield digest
    finally:
        run("docker", "rmi", "--force", digest)


@dataclass(frozen=True, kw_only=True)
class Clock:
    """How the seconds of ours are taken. `overhead` tells of what no request is a part of; "" for none."""

    seconds: Callable[[Callable[[], str]], float]
    overhead: Callable[[], str]
    remark: str = ""


def _python_start() -> str:
    bare = timed(lambda: run(sys.executable, "-c", "pass"))
    start = timed(lambda: run(sys.executable, "-c", "import scripts.bench.publishing"))
    return f"{1000 * start:.0f} ms to start Python and import, {1000 * bare:.0f} of them Python alone; "


FRESH = Clock(seconds=timed, overhead=_python_start)
"""A process of its own, from its start to its end."""
RUNNING = Clock(seconds=lambda act: float(act()), overhead=lambda: "", remark=" (the seconds that it prints)")
"""As in a release that runs already."""


def _ours(act: Callable[[], str], shown: str, before: Callable[[], object], clock: Clock) -> Side:
    return Side(command=f"{shown}{clock.remark}", measure=lambda: clock.seconds(act), before=before)


def _bound(act: Callable[[], str], registry: _Registry, clock: Clock, *, heads: int) -> str:
    """What no publishing can be faster than: what the registry takes for one PUT and `heads` HEADs."""
    act()  # the tag may be a peer's
    found, floor = float(act()), floor_of(registry.reference)
    return (
        f"{clock.overhead()}on a bare socket the registry takes {1000 * floor.put:.1f} ms for one PUT of "
        f"this manifest under a new tag and {1000 * floor.look:.1f} ms for each of {heads} HEADs, together "
        f"{1000 * (floor.put + heads * floor.look):.1f} ms; ours find everything there, the tag too, in "
        f"{1000 * found:.1f} ms"
    )


@contextmanager
def against_docker(mib: int, *, there: There, clock: Clock) -> Iterator[Contest]:
    """An image of `mib` MiB to a registry of this machine."""
    with _registry() as (layout, registry), _loaded(layout, mib) as image:

        def prepare() -> None:
            if there is There.NOTHING:
                registry.renew()
            if there is not There.TAG:
                registry.take_tag()

        def prepare_docker() -> None:
            prepare()
            run("docker", "tag", image, registry.reference)

        def push() -> str:
            return run(*publishing.HERE, "push", str(layout), registry.reference)

        def push_docker() -> str:
            return run("docker", "push", "--quiet", registry.reference)

        if there is not There.NOTHING:
            registry.take_tag()
            run("docker", "tag", image, registry.reference)
            push_docker()
        yield Contest(
            ours=_ours(push, "python -m scripts.bench.publishing push LAYOUT REF", prepare, clock),
            theirs=(
                Side(
                    command="docker push --quiet REF",
                    measure=lambda: timed(push_docker),
                    before=prepare_docker,
                ),
            ),
            bound=lambda: _bound(push, registry, clock, heads=3),
        )


@contextmanager
def _list(clock: Clock) -> Iterator[Contest]:
    with _registry() as (layout, registry), tempfile.TemporaryDirectory() as config:
        members = {}
        for platform in _PLATFORMS:
            images.write_image(layout, 1, Platform.parse(platform))
            registry.take_tag()
            run(*publishing.HERE, "push", str(layout), registry.reference)
            members[platform] = registry.reference
            shutil.rmtree(layout)
        listed = [f"{platform}={name.rpartition(':')[2]}" for platform, name in members.items()]

        def put() -> str:
            return run(*publishing.HERE, "list", registry.reference, *listed)

        def put_docker() -> str:
            manifest, name = f"DOCKER_CONFIG={config} docker manifest", registry.reference
            annotated = "".join(
                f"{manifest} annotate --arch {platform.partition('/')[2]} {name} {member} && "
                for platform, member in members.items()
            )
            create = f"{manifest} create --insecure {name} {' '.join(members.values())}"
            return run("sh", "-c", f"{create} && {annotated}{manifest} push --insecure --purge {name}")

        def put_buildx() -> str:
            return run(*_IMAGETOOLS, registry.reference, *members.values())

        yield Contest(
            ours=_ours(
                put,
                "python -m scripts.bench.publishing list REF linux/amd64=TAG linux/arm64=TAG",
                registry.take_tag,
                clock,
            ),
            theirs=(
                Side(
                    command="docker manifest create, annotate (each platform), push --purge",
                    measure=lambda: timed(put_docker),
                    before=registry.take_tag,
                ),
                Side(
                    command=f"{' '.join(_IMAGETOOLS)} REF AMD64 ARM64",
                    measure=lambda: timed(put_buildx),
                    before=registry.take_tag,
                ),
            ),
            bound=lambda: _bound(put, registry, clock, heads=2 + len(_PLATFORMS)),
        )


_IMAGETOOLS = ("docker", "buildx", "imagetools", "create", "--tag")
_IMAGE = (
    f"{images.LAYERS} layers of random bytes, {_MIB} MiB together: `python -m scripts.bench.images LAYOUT "
    f"{_MIB}` and `tar -C LAYOUT -c . | docker load`; a {_REGISTRY}"
)
_MEMBERS = f"an image of 1 MiB for each platform, in a {_REGISTRY}"

ROWS = (
    Row(
        name="push-empty",
        title="push of 1 GB to an empty repository",
        reach=at_most(0.9),
        ready=functools.partial(against_docker, _MIB, there=There.NOTHING, clock=FRESH),
        given=_IMAGE,
    ),
    Row(
        name="push-there",
        title="the same with all blobs there, under a new tag, within a release",
        reach=at_most(0.1),
        ready=functools.partial(against_docker, _MIB, there=There.BLOBS, clock=RUNNING),
        given=_IMAGE,
        pairs=7,
    ),
    Row(
        name="push-there-fresh",
        title="the same in a fresh process",
        reach=at_most(0.1),
        ready=functools.partial(against_docker, _MIB, there=There.BLOBS, clock=FRESH),
        given=_IMAGE,
        pairs=7,
    ),
    Row(
        name="push-again",
        title="the same once more under the tag that it has, within a release",
        reach=at_most(0.1),
        ready=functools.partial(against_docker, _MIB, there=There.TAG, clock=RUNNING),
        given=_IMAGE,
        pairs=7,
    ),
    Row(
        name="list",
        title="list of two platforms, within a release",
        reach=at_most(0.3),
        ready=functools.partial(_list, RUNNING),
        given=_MEMBERS,
        pairs=7,
    ),
    Row(
        name="list-fresh",
        title="the same in a fresh process",
        reach=at_most(0.3),
        ready=functools.partial(_list, FRESH),
        given=_MEMBERS,
        pairs=7,
    ),
)
