"""What would stop a release, looked for before its first build: everything at once. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from toolkit.builders.placement import Assign, Fleet
from toolkit.catalog.model import Image
from toolkit.ecr.settings import RepositorySettings
from toolkit.errors import ExitCode, NeedNotMet, ToolkitError, worst
from toolkit.machine.facts import Disk
from toolkit.machine.needs import GIB, Need
from toolkit.oci import Architecture, Digest
from toolkit.plan import Action, Plan, PlannedList, PlannedUnit
from toolkit.record import RELEASES, ReleaseRecord
from toolkit.render import RenderedUnit, changed_inputs, emulates

# "Images per repository: 100,000", adjustable:
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
IMAGES_PER_REPOSITORY = 100_000

# An image whose size no record tells: what even a small one takes, which is demanded, and what one with a
# framework takes (layers, their export and the layout), which is only told: a guess stops no release.
_SMALLEST_BYTES = GIB // 4
_USUAL_BYTES = 4 * GIB


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One question and its answer; `remedy` mends it, and is never empty when it is not ok."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    exit_code: ExitCode = ExitCode.NEED_NOT_MET

    def __str__(self) -> str:
        state = "ok" if self.ok else "FAILED"
        mend = f"\n{'':<24}{self.remedy}" if self.remedy else ""
        return f"{self.name:<16}{state:<8}{self.detail}{mend}"

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "ok": self.ok, "detail": self.detail, "remedy": self.remedy}


@dataclass(frozen=True, kw_only=True)
class EcrFacts:
    """What ECR says of the repositories that a release pushes to, by full name.

    `standing` are the digests under tags that the release would put, `images` how many each repository
    keeps. `identity` is the ARN that the credentials belong to.
    """

    name: str
    account: str
    identity: str
    repositories: Mapping[str, RepositorySettings]
    images: Mapping[str, int]
    standing: Mapping[tuple[str, str], Digest]


@dataclass(frozen=True, kw_only=True)
class MachineFacts:
    """What building takes of this machine. `needs` are the rows of `doctor`."""

    native: frozenset[Architecture]
    needs: Sequence[Need]
    disks: Sequence[Disk] = field(default=())


class PreflightFailed(NeedNotMet):
    """Something would have stopped the release; nothing was built and nothing published."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        rows = "".join(f"\n  {each.name}: {each.detail}\n    {each.remedy}" for each in findings)
        count = f"{len(findings)} things" if len(findings) > 1 else "one thing"
        super().__init__(f"{count} would stop this release; nothing was built:{rows}")
        self.exit_code = worst(each.exit_code for each in findings)


def ensure_ready(findings: Iterable[Finding]) -> None:
    """Raises PreflightFailed with all that is not ok."""
    if failed := [each for each in findings if not each.ok]:
        raise PreflightFailed(failed)


def machine_findings(plan: Plan, facts: MachineFacts, before: ReleaseRecord | None) -> tuple[Finding, ...]:
    """Disk and platforms, as far as this plan builds something that takes them."""
    if not plan.to_build:
        return ()
    foreign = {
        each.rendered.unit.architecture for each in plan.to_build if emulates(each.rendered, facts.native)
    }
    rows = {need.name: need for need in facts.needs}
    platforms = (rows[name] for each in sorted(foreign) if (name := f"platform {each.platform}") in rows)
    return (
        *(Finding(name="platform", ok=row.is_met, detail=row.detail, remedy=row.remedy) for row in platforms),
        *_disk(plan.to_build, facts.disks, before),
    )


def fleet_findings(plan: Plan, fleet: Fleet) -> tuple[Finding, ...]:
    """The nodes of the builder that is to build; one that cannot be used stops nothing that others do."""
    wanted = {each.rendered.unit.architecture for each in plan.to_build}
    used = [each for each in fleet.nodes if any(each.is_for(architecture) for architecture in wanted)]
    return tuple(
        Finding(
            name="node",
            ok=True,
            detail=f"{each.node.name}, {', '.join(each.node.platforms)}: "
            + (f"not used, {each.trouble}" if each.trouble else f"answers, {each.architecture}"),
        )
        for each in used
    )


def placement_findings(units: Iterable[RenderedUnit], assign: Assign) -> tuple[Finding, ...]:
    """Which of the units that are to be built cannot be, where this run builds: a finding for each reason."""
    refused: dict[tuple[str, str], list[str]] = {}
    for rendered in units:
        if (found := assign(rendered)).refusal:
            refused.setdefault((found.refusal, found.remedy), []).append(rendered.unit.identifier)
    return tuple(
        Finding(name="platform", ok=False, detail=f"{reason}: {', '.join(names)}", remedy=remedy)
        for (reason, remedy), names in refused.items()
    )


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """Bytes in one place: those known to be needed, and those that are likely."""

    least: int
    likely: int

    def of_unknown(self, count: int, *, part: int) -> "_Wanted":
        """And `part` quarters of `count` images of unknown size."""
        return _Wanted(
            least=self.least + count * part * _SMALLEST_BYTES // 4,
            likely=self.likely + count * part * _USUAL_BYTES // 4,
        )


def _disk(
    units: Sequence[PlannedUnit], disks: Sequence[Disk], before: ReleaseRecord | None
) -> Iterable[Finding]:
    """One finding for each file system; what the last record tells of an image says how much it takes."""
    last = {image.identifier: image for image in before.home} if before else {}
    known = [image for unit in units if (image := last.get(unit.identifier))]
    unknown = len(units) - len(known)
    # The engine keeps the steps and the unpacked layers, the project each layout until it is published.
    engine, project = sum(2 * image.unpacked_size for image in known), sum(image.size for image in known)
    wanted = {
        "engine": _Wanted(least=engine, likely=engine).of_unknown(unknown, part=3),
        "project": _Wanted(least=project, likely=project).of_unknown(unknown, part=1),
    }
    by_device: dict[int, list[Disk]] = {}
    for disk in disks:
        by_device.setdefault(disk.device, []).append(disk)
    for group in by_device.values():
        here = [wanted[disk.purpose] for disk in group if disk.purpose in wanted]
        least, likely = sum(each.least for each in here), sum(each.likely for each in here)
        free = min(disk.free for disk in group)
        ok = free >= least
        needed = f"about {likely / GIB:.1f} GiB needed"
        if free < likely and unknown:
            images = "one image" if unknown == 1 else f"{unknown} images"
            needed = (
                f"at least {least / GIB:.1f} GiB needed, and {likely / GIB:.1f} GiB if {images} of a size "
                "that no record tells should be large"
            )
        yield Finding(
            name="disk",
            ok=ok,
            detail=f"{free / GIB:.1f} GiB free, {needed}: "
            + ", ".join(f"{disk.path} ({disk.purpose})" for disk in group),
            remedy="" if ok else "docker builder prune --all; make clean",
        )


def put_tags(plan: Plan) -> tuple[tuple[str, str], ...]:
    """The (repository, tag) pairs of platforms that the plan would put: what stands there matters."""
    return tuple(
        (unit.rendered.unit.repository, unit.rendered.unit.arch_tag)
        for unit in plan.units
        if unit.action is not Action.REUSE
    )


def ecr_findings(plan: Plan, facts: EcrFacts, *, prefix: str) -> tuple[Finding, ...]:
    """Identity, repositories, immutable tags and quotas. `prefix` stands before every repository."""

    def full(name: str) -> str:
        return f"{prefix}/{name}" if prefix else name

    names = sorted({full(unit.rendered.unit.repository) for unit in plan.units} | {full(RELEASES)})
    missing = [name for name in names if name not in facts.repositories]
    return (
        Finding(name="identity", ok=True, detail=_identity(facts)),
        Finding(
            name="repositories",
            ok=not missing,
            detail=f"not there: {', '.join(missing)}" if missing else f"{len(names)} are there",
            remedy=f"toolkit ecr ensure --registry {facts.name}" if missing else "",
        ),
        *(found for unit in plan.units if (found := _tag(unit, plan, facts, full(_repository(unit))))),
        *(found for each in plan.lists if (found := _list(each, facts, full(each.repository)))),
        *_quotas(plan, facts, full),
    )


def _identity(facts: EcrFacts) -> str:
    account = facts.identity.split(":")[4] if facts.identity.count(":") > 4 else ""
    foreign = "" if account == facts.account else f", not of the registry's account {facts.account}"
    return f"{facts.identity}{foreign}"


def _repository(unit: PlannedUnit) -> str:
    return unit.rendered.unit.repository


def _tag(unit: PlannedUnit, plan: Plan, facts: EcrFacts, repository: str) -> Finding | None:
    """The tag of a platform that stands for another image already and cannot move."""
    tag = unit.rendered.unit.arch_tag
    settings = facts.repositories.get(repository)
    there = facts.standing.get((repository, tag))
    if unit.action is Action.REUSE or settings is None or there is None or not settings.is_fixed(tag):
        return None
    if unit.published:
        if unit.published.digest == there:
            return None
        new = str(unit.published.digest)
    else:
        changed = changed_inputs(unit.rendered, plan.observed.inputs.get(unit.identifier, {}))
        if not changed:
            return None  # a build of the same inputs, whose build tag is gone
        new = f"a build with other inputs ({', '.join(changed)})"
    return _conflict(unit, f"{repository}:{tag}", there, new)


def _conflict(unit: PlannedUnit, reference: str, there: Digest, new: str) -> Finding:
    image = unit.rendered.unit.image
    return Finding(
        name="immutable tag",
        ok=False,
        detail=f"{reference} names {there} for good; it cannot be given to {new}",
        remedy=f"{_row(image)}: add `revision = {image.revision + 1}`, which makes its tags end in "
        f"-r{image.revision + 1}",
        exit_code=ExitCode.CONFLICT,
    )


def _row(image: Image) -> str:
    return f"images.toml:{image.line}: [images.{image.name}]"


def _list(planned: PlannedList, facts: EcrFacts, repository: str) -> Finding | None:
    """A list of a revision, which is put once."""
    settings = facts.repositories.get(repository)
    if planned.complete or planned.present is None or settings is None:
        return None
    if not settings.is_fixed(planned.tag):
        return None
    image = planned.members[0].unit.image
    return Finding(
        name="immutable list",
        ok=False,
        detail=f"{repository}:{planned.tag} is the list {planned.present.digest} for good; this release "
        "would put another one there",
        remedy=f"{_row(image)}: write `revision = {image.revision + 1}`",
        exit_code=ExitCode.CONFLICT,
    )


def _quotas(plan: Plan, facts: EcrFacts, full: Callable[[str], str]) -> Iterable[Finding]:
    """Each built unit brings an image, and each list that is put a list."""
    coming: dict[str, int] = {}
    for unit in plan.to_build:
        coming[full(_repository(unit))] = coming.get(full(_repository(unit)), 0) + 1
    for each in plan.lists:
        if not each.complete:
            coming[full(each.repository)] = coming.get(full(each.repository), 0) + 1
    for name, count in sorted(coming.items()):
        there = facts.images.get(name, 0)
        if there + count > IMAGES_PER_REPOSITORY:
            yield Finding(
                name="quota",
                ok=False,
                detail=f"{name} keeps {there} images and would get {count} more; ECR's quota is "
                f"{IMAGES_PER_REPOSITORY} for a repository",
                remedy="Ask for more (Service Quotas, Amazon ECR, L-03A36CE1), or set unpublished_days in "
                "images.toml and run: toolkit ecr ensure",
            )


def trouble(error: ToolkitError, name: str) -> Finding:
    """A question that could not be asked."""
    remedy = error.remedy or "Run the same command again."
    return Finding(name=name, ok=False, detail=error.message, remedy=remedy, exit_code=error.exit_code)
