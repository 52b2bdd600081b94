"""The requests that a simulated release counts are those that a real one sends, to a real registry."""

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.faults import Asked, faulty
from tests.integration.conftest import ONE, TWO, SmallProject
from toolkit.oci import Architecture
from toolkit.quotas import Api
from toolkit.simulation import Job, Scenario, simulate

UNITS = (*ONE, *TWO)
UPLOADS = {"POST": Api.START_UPLOAD, "PATCH": Api.SEND, "PUT": Api.END_UPLOAD}


def api(asked: Asked) -> Api:
    """What ECR would count the request as."""
    if "/manifests/" in asked.path:
        return Api.PUT_MANIFEST if asked.method == "PUT" else Api.READ_MANIFEST
    if "/blobs/uploads/" in asked.path:
        return UPLOADS[asked.method]
    assert "/blobs/" in asked.path, asked.name
    return Api.FIND_BLOB if asked.method == "HEAD" else Api.READ_BLOB


def jobs() -> Sequence[Job]:
    """The prepared images have two layers and a configuration."""
    return [
        Job(
            identifier=name,
            architecture=Architecture(name.rpartition("-")[2]),
            seconds=1,
            blobs=3,
            group=(name.rpartition("-")[0],),
        )
        for name in UNITS
    ]


def test_a_release_of_machines_sends_the_requests_that_its_simulation_counts(
    small: SmallProject, registry: str, tmp_path: Path
) -> None:
    (tmp_path / "prepared").mkdir()
    environment = {"PREPARED": str(tmp_path / "prepared")}
    with faulty(registry) as proxy:
        project = replace(small, registry=proxy.host, program="tests.without_engine", environment=environment)

        def release() -> Counter[Api]:
            """As CodeBuild does it: a job for each unit, one for the lists, each without what others left."""
            before = len(proxy.asked)
            for command in (*(("stage", name) for name in UNITS), ("publish",)):
                shutil.rmtree(small.directory / "dist", ignore_errors=True)
                ran = project.run(*command)
                assert ran.code == 0, ran.err
            return Counter(map(api, proxy.asked[before:]))

        release()
        (small.directory / "dockerfiles" / "serving" / "serve").write_text("#!/bin/sh\nexec sleep 1001\n")
        sent = release()
    counted = Counter(simulate(jobs(), Scenario(nodes=2)).requests)
    exact = (Api.READ_MANIFEST, Api.PUT_MANIFEST, Api.FIND_BLOB, Api.READ_BLOB)
    assert {each: sent[each] for each in exact} == {each: counted[each] for each in exact}
    # A layer that is there already is not sent again, which the simulation leaves out.
    for each in (Api.START_UPLOAD, Api.END_UPLOAD):
        assert sent[each] <= counted[each] <= sent[each] + 3 * len(UNITS)
