"""The arguments and options by which every command chooses units."""

import functools
from collections.abc import Callable
from typing import Any

import click

from toolkit.selection import AXES, Selection


def selection_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command gets all of them as one `selection`."""

    @functools.wraps(command)
    def with_selection(patterns: tuple[str, ...], **values: Any) -> None:
        wanted = {axis: values.pop(axis) for axis in AXES}
        chosen = {axis: globs for axis, globs in wanted.items() if globs}
        command(selection=Selection(patterns=patterns, wanted=chosen), **values)

    decorated: Callable[..., None] = with_selection
    for axis in reversed(tuple(AXES)):
        decorated = click.option(
            f"--{axis}",
            axis,
            multiple=True,
            metavar="GLOB",
            help=f"Only units of this {axis}. May be repeated; different options narrow each other.",
        )(decorated)
    return click.argument("patterns", nargs=-1, metavar="[IDENTIFIER|GLOB|GROUP]...")(decorated)
