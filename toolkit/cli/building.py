"""What `release`, `stage`, `publish` and `build` have in common on the command line."""

import os
from collections.abc import Callable
from typing import Any

import click

from toolkit.cli.project import Project
from toolkit.errors import worst
from toolkit.oci import Reference
from toolkit.release import Outcome

# Builds wait for networks and disks, and of two at a time the last one is alone for a while.
_JOBS = max(4, (os.cpu_count() or 4) // 2)

jobs_option = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=_JOBS,
    show_default=True,
    help="Units that are built side by side.",
)
cold_option = click.option(
    "--no-cache", "cold", is_flag=True, help="Run every step of every Dockerfile again."
)
locked_option = click.option("--locked", is_flag=True, help="Refuse a base that differs from images.lock.")

dropped_option = click.option(
    "--allow-drop-platform",
    "dropped",
    multiple=True,
    metavar="OS/ARCH",
    help="Let a list that has this platform be replaced by one without it. May be repeated.",
)


def cache_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`cache`: a repository, "" for none, None for what the catalog says of the registry."""
    named = click.option(
        "--registry-cache",
        "cache",
        metavar="REPOSITORY",
        help="Keep the steps of builds in this repository of the registry's host, for builds on other "
        "machines. Usual is `cache` of [registries.NAME] in the catalog, without it none.",
    )
    none = click.option(
        "--no-registry-cache", "cache", flag_value="", help="Neither read nor write such a cache."
    )
    return named(none(command))


def base_registries(project: Project) -> tuple[str, ...]:
    origins = (base.origin for base in project.catalog.bases.values())
    return tuple(origin.registry for origin in origins if isinstance(origin, Reference))


def end(outcome: Outcome) -> None:
    """Exit with the code of the worst failure after one line for each."""
    found = {
        f"{len(outcome.failures)} of {outcome.wanted} units failed": outcome.failures,
        "further regions lack something; the home region has all of it": outcome.elsewhere,
    }
    for head, failures in found.items():
        if failures:
            click.echo(f"{head}:", err=True)
        for name, error in sorted(failures.items()):
            text = str(error).replace("\n", "\n  ")
            click.echo(f"  {text if name in str(error) else f'{name}: {text}'}", err=True)
    if codes := [error.exit_code for failures in found.values() for error in failures.values()]:
        raise SystemExit(worst(codes))
