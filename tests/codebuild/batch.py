"""A batch: its builds in the order of the graph, side by side, each on a machine of its own.

What one leaves no other gets: `depend-on` is an order, and artifacts go to the bucket of the project.
https://docs.aws.amazon.com/codebuild/latest/userguide/batch-build-buildspec.html
"""

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from tests.codebuild.buildspec import Batch, Buildspec, Node, read_buildspec
from tests.codebuild.executor import Build, Machine, Result


@dataclass(frozen=True, kw_only=True)
class Ended:
    """`results` are the builds that were run, by identifier; `ignored` those that may fail."""

    results: Mapping[str, Result]
    ignored: frozenset[str]

    @property
    def succeeded(self) -> bool:
        return not [
            name for name, each in self.results.items() if not each.succeeded and name not in self.ignored
        ]


@dataclass(kw_only=True)
class BatchRun:
    """Runs the graph of `spec`. `machine` gives each build its own; `home` gets a directory per build.

    `variables` are those of the project; `side_by_side` is how many run at once.
    """

    spec: Buildspec
    source: Path
    home: Path
    machine: Callable[[Node], Machine]
    variables: Mapping[str, str] = field(default_factory=dict)
    side_by_side: int = 2

    def run(self) -> Ended:
        batch = self.spec.batch
        assert batch, "it is no batch"
        results: dict[str, Result] = {}
        ignored = frozenset(node.identifier for node in batch.nodes if node.ignore_failure)
        with ThreadPoolExecutor(self.side_by_side) as pool:
            running: dict[Future[Result], str] = {}
            while True:
                for node in self._ready(batch, results, set(running.values()), ignored):
                    running[pool.submit(self._build, node)] = node.identifier
                if not running:
                    return Ended(results=results, ignored=ignored)
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    results[running.pop(future)] = future.result()

    def _ready(
        self, batch: Batch, results: Mapping[str, Result], running: set[str], ignored: frozenset[str]
    ) -> list[Node]:
        """Those that wait for nothing any more. What waits for a build that failed is never run, unless that
        one may fail; with `fast-fail` nothing else is begun either."""
        failed = {name for name, each in results.items() if not each.succeeded} - ignored
        if failed and batch.fast_fail:
            return []
        return [
            node
            for node in batch.nodes
            if node.identifier not in results.keys() | running
            and set(node.depend_on) <= results.keys() - failed
        ]

    def _build(self, node: Node) -> Result:
        spec = read_buildspec(self.source / node.buildspec) if node.buildspec else self.spec
        return Build(
            spec=spec,
            source=self.source,
            home=self.home / node.identifier,
            machine=self.machine(node),
            variables={**self.variables, **node.variables},
            identifier=node.identifier,
            image=node.image,
        ).run()
