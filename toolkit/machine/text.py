"""What set-up and the doctor print."""

from collections.abc import Iterable, Sequence

from toolkit.machine.facts import Disk, Facts, RegistryAnswer
from toolkit.machine.needs import SETUP, Need
from toolkit.machine.steps import Step

MIB = 1024 * 1024


def announcement(steps: Sequence[Step], disks: Iterable[Disk]) -> str:
    """What is about to change, what it fetches and what it keeps: before any of it happens."""
    rows = [f"  {step.name}: {step.changes}{_figures(step)}" for step in steps]
    download = sum(step.download for step in steps)
    disk = sum(step.disk for step in steps)
    free = min((disk.free for disk in disks), default=0)
    total = (
        f"  about {download // MIB} MB to fetch, {disk // MIB} MB of disk ({free // MIB} MB are free)"
        if disk
        else "  nothing to fetch"
    )
    return "\n".join(
        (
            "Set-up is about to change this machine (SETUP=no prints the lines instead):",
            *rows,
            total,
            "  `make uninstall` takes all of it back.",
        )
    )


def _figures(step: Step) -> str:
    return f" (about {step.download // MIB} MB to fetch, {step.disk // MIB} MB of disk)" if step.disk else ""


def by_hand(facts: Facts, open_needs: Sequence[Need], steps: Sequence[Step]) -> str:
    """What is missing and the lines that bring it; nothing was changed."""
    missing = [f"  {need.name}: {need.detail}" for need in open_needs]
    intro = ["this machine lacks what a release needs, and nothing was changed:", *missing]
    typed = [line for step in steps for line in (f"# {step.name}: {step.changes}", *step.lines)]
    answered = {name for step in steps for name in step.answers}
    rest = [need for need in open_needs if need.name not in answered]
    lines = [*typed, *(_elsewhere(facts, rest) if rest else ())]
    return "\n".join([*intro, "Run these lines as root:", *lines])


def _elsewhere(facts: Facts, open_needs: Sequence[Need]) -> Iterable[str]:
    """Where no step helps: the needs' own remedies, and Docker's ways for systems not in the table."""
    names = {need.name for need in open_needs}
    if "engine" in names and not facts.is_engine_forbidden:
        yield "# install Docker Engine with Buildx: https://docs.docker.com/engine/install/"
    if any(name.startswith("platform ") for name in names):
        yield "docker run --privileged --rm tonistiigi/binfmt --install all"
    if "registry" in names and facts.registry.answer is RegistryAnswer.NOTHING:
        port = facts.registry.port or 80
        yield f"docker run -d --name registry -p 127.0.0.1:{port}:5000 registry:2"
    yield from dict.fromkeys(need.remedy for need in open_needs if need.remedy != SETUP)


def table(rows: Sequence[Need]) -> str:
    """The doctor's rows for people; the line that mends a failing one stands below it."""
    name_width = max(len(row.name) for row in rows)
    state_width = max(len(row.state) for row in rows)
    lines = []
    for row in rows:
        lines.append(f"{row.name:<{name_width}}  {row.state:<{state_width}}  {row.detail}")
        if row.remedy:
            lines.append(f"{'':<{name_width}}  {'':<{state_width}}  -> {row.remedy}")
    return "\n".join(lines)
