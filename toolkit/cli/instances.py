"""`toolkit instances`."""

import json
from fnmatch import fnmatchcase

import click

from toolkit.cli.settings import json_option
from toolkit.errors import NothingSelected
from toolkit.hardware import AcceleratorKind, InstanceType, Use, get_instance_type, instance_type_names
from toolkit.oci import Architecture


@click.command()
@click.argument("patterns", nargs=-1, metavar="[TYPE|GLOB]...")
@click.option(
    "--architecture",
    type=click.Choice([each.value for each in Architecture]),
    help="Only types of this architecture.",
)
@click.option(
    "--accelerator",
    type=click.Choice([each.value for each in AcceleratorKind]),
    help="Only types with this kind of accelerator.",
)
@click.option(
    "--use", type=click.Choice([each.value for each in Use]), help="Only what SageMaker takes for this."
)
@json_option
def instances(
    patterns: tuple[str, ...],
    architecture: str | None,
    accelerator: str | None,
    use: str | None,
    as_json: bool,
) -> None:
    """List EC2's instance types and SageMaker's (ml.*): architecture, vCPU, memory, accelerator, uses.

    Without patterns: all that are known. A TYPE that no data knows is classified by its name, and its
    row says `assumed`.
    """
    found = [
        each
        for each in _named(patterns)
        if architecture in (None, each.architecture.value)
        and accelerator in (None, each.accelerator.kind.value)
        and (use is None or use in each.uses)
    ]
    if not found:
        raise NothingSelected(
            "no instance type is like that", remedy="Leave out an option, or look: toolkit instances 'ml.*'"
        )
    click.echo(json.dumps([each.to_json() for each in found], indent=2) if as_json else table(found))


def _named(patterns: tuple[str, ...]) -> list[InstanceType]:
    """Raises InstanceTypeInvalid for a word that is neither a glob nor an instance type."""
    known = instance_type_names()
    if not patterns:
        return [get_instance_type(name) for name in known]
    names: dict[str, None] = {}
    for pattern in patterns:
        is_glob = any(character in pattern for character in "*?[")
        names |= (
            dict.fromkeys(name for name in known if fnmatchcase(name, pattern))
            if is_glob
            else {pattern: None}
        )
    return [get_instance_type(name) for name in names]


def table(found: list[InstanceType]) -> str:
    """A row per type, in columns; what is not known is `-`."""
    rows = [("type", "architecture", "vCPU", "memory", "accelerator", "SageMaker takes it for")]
    rows += [
        (
            each.name,
            f"{each.architecture}{'' if each.family.os == 'linux' else f' {each.family.os}'}"
            f"{' assumed' if each.assumed else ''}",
            str(each.vcpus or "-"),
            f"{each.memory_mib / 1024:g} GiB" if each.memory_mib else "-",
            str(each.accelerator),
            ", ".join(each.uses) or "-",
        )
        for each in found
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
