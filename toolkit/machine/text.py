"""What set-up and the doctor print."""

from collections.abc import Iterable, Sequence

from toolkit.machine.facts import Disk, Facts, RegistryAnswer
from toolkit.machine.needs import Need
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
    lines = [line for step in steps for line in (f"# {step.name}: {step.changes}", *step.lines)]
    return "\n".join([*intro, "Run these lines as root:", *(lines or _elsewhere(facts, open_needs))])


def _elsewhere(facts: Facts, open_needs: Sequence[Need]) -> list[str]:
    """For systems whose packages are not in the table: Docker's own ways, none of them tried here."""
    names = {need.name for need in open_needs}
    lines = []
    if "engine" in names:
        lines.append("# install Docker Engine with Buildx: https://docs.docker.com/engine/install/")
    if any(name.startswith("platform ") for name in names):
        lines.append("docker run --privileged --rm tonistiigi/binfmt --install all")
    if "registry" in names and facts.registry.answer is RegistryAnswer.NOTHING:
        lines.append(
            f"docker run -d --name registry -p 127.0.0.1:{facts.registry.port or 5000}:5000 registry:2"
        )
    lines += [need.remedy for need in open_needs if need.remedy != "make setup"]
    return lines


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
