"""Options and warnings about what nobody looks after any more."""

import functools
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

import click

from toolkit.catalog.model import State
from toolkit.cli.project import Project
from toolkit.errors import UsageError
from toolkit.progress import Event, Kind, Reporter
from toolkit.support import require_supported, support_of, warning
from toolkit.units import BuildUnit

USUALLY_ACCEPTED = (State.CURRENT, State.LEGACY)


def support_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command gets `accepted`, the states that it takes; an ended service only when it is asked for."""

    @functools.wraps(command)
    def with_accepted(refuse_legacy: bool, allow_eol: bool, **values: Any) -> None:
        command(accepted=_accepted(refuse_legacy, allow_eol), **values)

    decorated = click.option(
        "--allow-eol", is_flag=True, help="Take images of services that ended, such as Elastic Inference."
    )(with_accepted)
    return click.option(
        "--refuse-legacy",
        is_flag=True,
        help="Refuse images whose base, Python or framework is past its end of life.",
    )(decorated)


def _accepted(refuse_legacy: bool, allow_eol: bool) -> tuple[State, ...]:
    match refuse_legacy, allow_eol:
        case True, True:
            raise UsageError(
                "--refuse-legacy and --allow-eol ask for opposite things", remedy="Leave out one of the two."
            )
        case True, False:
            return (State.CURRENT,)
        case False, True:
            return tuple(State)
        case _:
            return USUALLY_ACCEPTED


def today() -> date:
    return datetime.now(UTC).date()


def refuse_unsupported(project: Project, units: Sequence[BuildUnit], accepted: Sequence[State]) -> None:
    """Raises UsageError that names every image whose state of support is not accepted; asks nobody."""
    require_supported(units, project.sources.ends, on=today(), accepted=accepted)


def warn_of_unsupported(project: Project, units: Sequence[BuildUnit], report: Reporter) -> None:
    for event in warnings_of(project, units):
        report(event)


def warnings_of(project: Project, units: Sequence[BuildUnit]) -> Iterator[Event]:
    """One for each image that is not current."""
    for unit in {unit.image.name: unit for unit in units}.values():
        support = support_of(unit, project.sources.ends, on=today())
        if support.state is not State.CURRENT:
            yield Event(kind=Kind.WARNING, text=warning(unit, support))
