"""`toolkit setup`, `doctor` and `uninstall`."""

import functools
import json

import click

from toolkit.cli.registries import get_place, read_registries
from toolkit.cli.settings import Settings, catalog_option, from_environment, json_option, registry_option
from toolkit.errors import ExitCode


@click.command()
@catalog_option
@registry_option
def setup(catalog: str, registry: str) -> None:
    """Bring this machine what releases need; where all is there, change nothing.

    What is about to change, to be fetched and to be stored is printed first. With SETUP=no in the
    environment nothing changes: the lines to run are printed, and the exit code is 1.
    """
    bring_machine(from_environment(catalog), registry)


def bring_machine(settings: Settings, registry: str) -> None:
    """Set-up for a release to `registry`, or with SETUP=no what it would take. Raises NeedNotMet."""
    from toolkit.adapters.debian import LocalSystem
    from toolkit.cli.world import look
    from toolkit.machine.setup import require, set_up

    host = get_place(registry, lambda: read_registries(settings)).host
    observe = functools.partial(look, settings, host)
    if settings.environment.get("SETUP", "").lower() == "no":
        require(observe())
    else:
        set_up(observe, LocalSystem(), _say)


@click.command()
@catalog_option
@registry_option
@json_option
def doctor(catalog: str, registry: str, as_json: bool) -> None:
    """One row per need; each failing row with the line that mends it. Exit 1 when one fails."""
    from toolkit.adapters.engine import ask_versions
    from toolkit.cli.credentials import with_token
    from toolkit.cli.world import look
    from toolkit.machine.needs import needs
    from toolkit.machine.text import table

    settings = from_environment(catalog)
    host = get_place(registry, lambda: read_registries(settings)).host
    rows = needs(with_token(ask_versions(look(settings, host)), settings, host))
    click.echo(json.dumps([row.to_json() for row in rows], indent=2) if as_json else table(rows))
    if not all(row.is_met for row in rows):
        raise SystemExit(ExitCode.NEED_NOT_MET)


@click.command()
def uninstall() -> None:
    """Take back what set-up made on this machine: packages, files, processes, image data."""
    from toolkit.adapters.debian import LocalSystem
    from toolkit.machine.undo import take_back

    take_back(LocalSystem(), _say)


def _say(text: str) -> None:
    click.echo(text, err=True)
