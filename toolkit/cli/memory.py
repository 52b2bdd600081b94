"""What a release that found nothing to do leaves for the next one, so that it need not look again."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from toolkit.adapters.standing import digest_of_files, keep_standing, look_at_sources
from toolkit.cli.display import line
from toolkit.cli.project import Project
from toolkit.cli.settings import Settings
from toolkit.cli.supporting import warnings_of
from toolkit.oci import MANIFEST_TYPES
from toolkit.plan import Plan
from toolkit.planning import Destination
from toolkit.progress import Event, Reporter
from toolkit.standing import Answer, Asked, Standing

# How much the clock of file systems may be behind: it goes on by ticks.
_TICK_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What a release was made from when it began, at `began` by the clock in seconds, and what it told.

    Nothing is remembered of one that is asked for in another way than `asked` can say.
    """

    asked: Asked | None
    sources: str
    began: float
    heard: list[Event] = field(default_factory=list)

    @classmethod
    def begin(cls, settings: Settings, asked: Asked | None) -> "Memory":
        """Before anything of the project is read."""
        began, sources = time.time(), ""
        if asked:
            with suppress(OSError, RecursionError):
                sources = look_at_sources(str(settings.catalog), settings.environment).digest
        return cls(asked=asked if sources else None, sources=sources, began=began)

    def listening(self, report: Reporter) -> Reporter:
        """The same, heard."""

        def hear(event: Event) -> None:
            self.heard.append(event)
            report(event)

        return hear

    def keep(self, project: Project, plan: Plan, to: Destination, files: Sequence[str]) -> None:
        """What `plan`, which has nothing to do, saw; `files` are those that the release left.

        Not where something was told of this run alone, a retry for one; nor where anything was touched
        while it ran; nor of a registry that is not on this machine, as that wants credentials.
        """
        from toolkit.adapters.registry_errors import is_loopback

        host, settings = to.registry.host, project.settings
        expected = [*warnings_of(project, [each.rendered.unit for each in plan.units])]
        if (
            self.asked is None
            or self.heard[:-1] != expected
            or not is_loopback(host.rpartition(":")[0] or host)
        ):
            return
        with suppress(OSError, RecursionError):
            sources = look_at_sources(str(settings.catalog), settings.environment)
            if sources.digest == self.sources and sources.changed < self.began - _TICK_SECONDS:
                standing = Standing(
                    sources=sources.digest,
                    files=tuple(files),
                    left=digest_of_files(str(settings.project), tuple(files)),
                    host=host,
                    accept=", ".join(MANIFEST_TYPES),
                    answers=tuple(_answers(plan, to)),
                    told=tuple(map(line, self.heard)),
                )
                keep_standing(self.asked, str(settings.catalog), standing)


def _answers(plan: Plan, to: Destination) -> list[Answer]:
    """Of every HEAD that the plan asked for; nothing is missing where nothing is to be done."""
    return [
        (f"/v2/{to.repository(name)}/manifests/{tag}", found.digest, found.media_type, str(found.size))
        for (name, tag), found in plan.observed.descriptors.items()
        if found
    ]
