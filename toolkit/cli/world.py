"""The composition root: adapters put together from settings, imported only where they are used."""

import functools
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.bases import BaseMaker, BuiltBase, LockedOnly
from toolkit.builders.failover import NodesBuilder
from toolkit.builders.placement import Assign, Fleet
from toolkit.catalog.builder import CatalogBuilder
from toolkit.catalog.model import Base
from toolkit.cli.connections import images_of, registry_at
from toolkit.cli.project import Project, architectures_of
from toolkit.cli.registries import Place
from toolkit.cli.settings import DEFAULT_REGISTRY, Settings
from toolkit.cli.supplies import build_secrets, ca_bundle, fetching, places, uv_environment
from toolkit.errors import NeedNotMet, UsageError
from toolkit.lock import get_locked_base
from toolkit.machine.facts import Engine, Facts
from toolkit.machine.mirrors import debian_mirrors
from toolkit.machine.needs import needs
from toolkit.oci import Architecture, Digest, Index, Reference
from toolkit.planning import Destination
from toolkit.progress import Event, Kind, Reporter
from toolkit.render import emulates
from toolkit.units import BuildUnit
from toolkit.verify import ImageSource, ScanCache, ensure_verified, verify_reference
from toolkit.workshop import UNFINISHED, Tools, Workshop

if TYPE_CHECKING:
    from toolkit.adapters.builder_nodes import BuilderNodes
    from toolkit.adapters.buildx import BuildxBuilder
    from toolkit.adapters.journal import Journals
    from toolkit.adapters.step_cache import StepCache


def destination(settings: Settings, place: Place, report: Reporter | None = None) -> Destination:
    connection = registry_at(settings, place.host, report)
    return Destination(
        registry=connection, prefix=place.prefix, images=functools.partial(images_of, connection)
    )


def scans(settings: Settings) -> ScanCache:
    from toolkit.adapters.scan_cache import DiskScans

    return DiskScans(settings.cache / "scans")


def base_maker(settings: Settings, *, locked_only: bool = False) -> BaseMaker:
    """Makes bases from the mirror that is named, else from those that this machine's own apt uses.

    Raises NeedNotMet without any.
    """
    from toolkit.adapters.bootstrap import Bootstrapper

    where = places(settings)
    facts = look(settings, DEFAULT_REGISTRY)
    maker = Bootstrapper(
        mirrors=debian_mirrors(
            facts.apt_sources, facts.host.codename, main=where.apt, security=where.apt_security
        ),
        bases=settings.cache / "bases",
        cache=settings.cache / "packages",
    )
    return LockedOnly(maker=maker) if locked_only else maker


@dataclass(frozen=True, kw_only=True)
class Bases:
    """Makes each bootstrapped base once, verifies it, and remembers where it is."""

    project: Project
    locked_only: bool = False
    _made: dict[str, BuiltBase | None] = field(default_factory=dict)

    def ensure(self, base: Base, report: Reporter) -> BuiltBase | None:
        """The base's layout; None for a base that is an image of a registry.

        Raises NeedNotMet when it cannot be made, LockInvalid when it is not locked,
        VerificationFailed when its architecture lies.
        """
        if base.name not in self._made:
            self._made[base.name] = self._make(base, report)
        return self._made[base.name]

    def ensure_all(self, bases: Iterable[Base], report: Reporter) -> dict[str, BuiltBase]:
        """Those that are layouts, by name; made side by side."""
        distinct = {base.name: base for base in bases}
        pool = ThreadPoolExecutor(max_workers=max(1, len(distinct)), thread_name_prefix="base")
        try:
            made = pool.map(lambda base: self.ensure(base, report), distinct.values())
            return {name: built for name, built in zip(distinct, made, strict=True) if built}
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # an interrupt does not wait

    def _make(self, base: Base, report: Reporter) -> BuiltBase | None:
        settings, wanted = self.project.settings, architectures_of(self.project, base)
        locked = {each: get_locked_base(self.project.lock, base, each) for each in wanted}
        if isinstance(base.origin, Reference):
            reference = places(settings).registry_mirror(base.origin)
            images = images_of(registry_at(settings, reference.registry), reference.repository)
            digests = {each: entry.digest for each, entry in locked.items()}
            verify_base(settings, f"base {base.origin}", images, digests)
            return None
        report(Event(kind=Kind.STARTED, subject=f"base {base.name}", text="unpacking its packages"))
        maker = base_maker(settings, locked_only=self.locked_only)
        packages = {each: entry.packages for each, entry in locked.items()}
        built = maker.ensure_base(base, wanted, locked=packages)
        digests = {each: platform.manifest for each, platform in built.platforms.items()}
        verify_base(settings, f"base {base.name}", _open_layout(built.layout), digests)
        for remark in sorted({text for platform in built.platforms.values() for text in platform.remarks}):
            report(Event(kind=Kind.NOTE, subject=f"base {base.name}", text=remark))
        platforms = ", ".join(str(each.platform) for each in wanted)
        report(Event(kind=Kind.FINISHED, subject=f"base {base.name}", text=f"{built.index} ({platforms})"))
        return built

    def layout_of(self, unit: BuildUnit) -> str | None:
        """What Buildx takes as the base's context, None where FROM's own registry has it."""
        built = self._made.get(unit.base.name)
        if built or not isinstance(unit.base.origin, Reference):
            return built.build_context if built else None
        reference = places(self.project.settings).registry_mirror(unit.base.origin)
        if reference == unit.base.origin:
            return None
        index = get_locked_base(self.project.lock, unit.base, unit.architecture).index
        return f"docker-image://{reference.registry}/{reference.repository}@{index}"


def verify_base(
    settings: Settings, name: str, source: ImageSource, digests: Mapping[Architecture, Digest]
) -> None:
    """Raises VerificationFailed, with the first offending paths, for a base whose architecture lies."""
    for architecture, digest in sorted(digests.items()):
        found = verify_reference(source, digest, platform=architecture.platform, scans=scans(settings))
        ensure_verified(name, found)


def look(settings: Settings, registry: str) -> Facts:
    """One look at this machine; `registry` is HOST[:PORT]."""
    from toolkit.adapters.engine import observe

    return observe(settings.environment, registry=registry, project=settings.project)


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """The nodes of a builder, and which of them each unit of a run goes to."""

    builder: CatalogBuilder
    fleet: Fleet
    assign: Assign
    client: "BuilderNodes"
    report: Reporter


def workshop(
    settings: Settings,
    *,
    bases: Bases,
    cold: bool,
    docker_config: Callable[[], Path] | None = None,
    nodes: Nodes | None = None,
    cache: "StepCache | None" = None,
) -> Workshop:
    """Buildx on `nodes`, or on this machine's engine, looked for when something is to be built.

    `docker_config` gives the directory that docker clients are to take in place of their own; `cache` is
    where a registry keeps the steps of earlier builds.
    """
    from toolkit.adapters.git import Checkout

    sources = (settings.catalog, settings.lock, settings.dockerfiles)
    checkout = Checkout(directory=settings.project, sources=sources)
    return Workshop(
        tools=functools.cache(functools.partial(_tools, settings, docker_config, nodes, cache)),
        fetch=fetching(settings),
        base_layout=bases.layout_of,
        layout=_open_layout,
        layouts=settings.cache / "layouts",
        logs=settings.dist / "logs",
        scans=scans(settings),
        revision=checkout.revision,
        source=checkout.source,
        cold=cold,
    )


@contextmanager
def layouts(settings: Settings, report: Reporter) -> Iterator[bool]:
    """The layouts for this process alone; yields whether another one had to end first.

    What builds that were killed left behind is removed.
    """
    from toolkit.adapters.locks import only_process

    def tell() -> None:
        report(Event(kind=Kind.NOTE, text="another build of this project is running; waiting for it to end"))

    directory = settings.cache / "layouts"
    with only_process(directory, on_wait=tell) as waited:
        for left in directory.glob(f"{UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield waited


def journals(settings: Settings) -> "Journals":
    from toolkit.adapters.journal import Journals

    return Journals(settings.dist / "journal")


def step_cache(place: Place, report: Reporter) -> "StepCache | None":
    """Where a registry keeps the steps of builds, if it does; its first trouble is told as a warning."""
    from toolkit.adapters.step_cache import StepCache

    def warn(text: str) -> None:
        report(Event(kind=Kind.WARNING, text=text))

    return StepCache(repository=f"{place.host}/{place.cache}", warn=warn) if place.cache else None


def _tools(
    settings: Settings,
    docker_config: Callable[[], Path] | None,
    nodes: Nodes | None,
    cache: "StepCache | None",
) -> Tools:
    tools = building_tools(settings, docker_config, nodes)
    if cache is None:
        return tools
    from toolkit.adapters.step_cache import CachingBuilder

    return replace(tools, builder=CachingBuilder(inner=tools.builder, cache=cache))


def building_tools(
    settings: Settings, docker_config: Callable[[], Path] | None = None, nodes: Nodes | None = None
) -> Tools:
    """Raises NeedNotMet, with every lack, where nothing can be built."""
    from toolkit.adapters.engine import ask_versions

    facts = ask_versions(look(settings, DEFAULT_REGISTRY))
    if nodes:
        _require(facts, _CLIENT_NEEDS)
        return _node_tools(settings, docker_config, nodes)
    native = Architecture(require_engine(facts).architecture)
    return Tools(
        builder=_buildx(settings, docker_config, native),
        emulates=lambda rendered: emulates(rendered, {native}),
    )


def _buildx(
    settings: Settings, docker_config: Callable[[], Path] | None, platform: Architecture
) -> "BuildxBuilder":
    """`platform` is that of the machine that builds, which runs uv."""
    from toolkit.adapters.buildx import BuildxBuilder
    from toolkit.adapters.uv import ensure_uv

    where = places(settings)
    return BuildxBuilder(
        uv=ensure_uv(settings.cache / "tools", platform, uv_environment(settings, index=where.index)),
        ca_bundle=ca_bundle(settings),
        secrets=functools.partial(build_secrets, settings, where),
        find_links=tuple(settings.project / each for each in where.find_links if "://" not in each),
        docker_config=docker_config,
    )


def _node_tools(settings: Settings, docker_config: Callable[[], Path] | None, nodes: Nodes) -> Tools:
    usable = {each.node: each.architecture for each in nodes.fleet.nodes if each.architecture}
    buildx = {each: _buildx(settings, docker_config, each) for each in set(usable.values())}
    builders: dict[str, BuildxBuilder] = {}
    answers: dict[str, Callable[[], bool]] = {}
    for node, architecture in usable.items():
        address = nodes.client.address(nodes.builder, node)
        answers[node.name] = functools.partial(nodes.client.answers, address)
        builders[node.name] = replace(
            buildx[architecture], host=address.host, builder=address.builder, answers=answers[node.name]
        )
    builder = NodesBuilder(
        fleet=nodes.fleet,
        nodes=builders,
        assign=nodes.assign,
        answers=lambda name: answers[name](),
        report=nodes.report,
    )
    return Tools(builder=builder, emulates=builder.emulates)


def _open_layout(path: Path) -> ImageSource:
    from toolkit.adapters.layout import OciLayout

    return OciLayout.open(path)


_CLIENT_NEEDS = ("client", "buildx")
_BUILD_NEEDS = ("engine", *_CLIENT_NEEDS, "image store")


def require_engine(facts: Facts) -> Engine:
    """The engine. Raises NeedNotMet with each need of building that is not met."""
    _require(facts, _BUILD_NEEDS)
    assert facts.engine
    return facts.engine


def _require(facts: Facts, names: Sequence[str]) -> None:
    if lacking := [row for row in needs(facts) if row.name in names and not row.is_met]:
        rows = "".join(f"\n  {row.name}: {row.detail}\n    {row.remedy}" for row in lacking)
        raise NeedNotMet(f"nothing can be built on this machine:{rows}")


def lookup_registry_base(
    settings: Settings, reference: Reference, architectures: tuple[Architecture, ...]
) -> tuple[Digest, dict[Architecture, Digest]]:
    """The digest of a registry base, and of each architecture's image behind it.

    Raises UsageError when it is not there or has no image for one of them.
    """
    from toolkit.adapters.retry import Budget

    asked = places(settings).registry_mirror(reference)
    # Who locks waits for many: one that is not there leaves its rows unlocked.
    registry = registry_at(settings, asked.registry, budget=Budget(attempts=2, total=10, absent=1))
    found = registry.lookup_manifest(asked.repository, asked.selector)
    if found is None:
        raise UsageError(f"the base {reference} does not exist", remedy="Mend its reference in images.toml.")
    digests = (
        {child.platform.normalized: child.digest for child in found.images if child.platform}
        if isinstance(found, Index)
        else {}
    )
    missing = [each.value for each in architectures if each.platform not in digests]
    if missing:
        there = ", ".join(str(platform) for platform in digests) or "one image without a list"
        raise UsageError(
            f"the base {reference} has no image for {', '.join(missing)}; it has {there}",
            remedy="Choose a base that is multi-platform, or leave the architecture out.",
        )
    return found.digest, {each: digests[each.platform] for each in architectures}
