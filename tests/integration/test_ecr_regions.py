"""A release to two regions of the stand-in: pushed once, in both, and what a region lacks is told."""

import csv
import json
from typing import Any

from tests.integration.conftest import ONE, EcrProject
from toolkit.errors import ExitCode

FURTHER = "eu-central-1"


def rows(project: EcrProject) -> list[dict[str, Any]]:
    images = json.loads((project.small.directory / "dist" / "release.json").read_text())["images"]
    assert isinstance(images, list)
    return images


def places(project: EcrProject) -> list[tuple[str, str]]:
    return [(row["identifier"], row["region"]) for row in rows(project)]


def tags(project: EcrProject, region: str) -> dict[str, str]:
    named = project.ecr.state.repositories[region][f"{project.prefix}/one"].tags
    return {tag: digest for tag, digest in named.items() if not tag.startswith("b-")}


def test_a_region_that_lacks_its_repository_fails_alone_and_the_next_run_ends_it(
    ecr_project: EcrProject,
) -> None:
    ecr_project.table(regions=f'["{FURTHER}"]')
    ecr_project.make_repositories()
    first = ecr_project.run("release", "one-*")
    words = first.failed_with(ExitCode.REGISTRY_TROUBLE)
    assert "further regions lack something; the home region has all of it:" in words
    assert "units failed" not in words
    assert "`toolkit ecr ensure`" in words
    assert places(ecr_project) == [(name, "us-west-2") for name in ONE]

    api = ecr_project.ecr.api(FURTHER)
    for name in ("one", "two", "releases"):
        api.create_repository(repositoryName=f"{ecr_project.prefix}/{name}")
    again = ecr_project.run("release", "--resume")
    assert again.code == 0, again.err
    assert places(ecr_project) == [(name, region) for name in ONE for region in ("us-west-2", FURTHER)]
    assert tags(ecr_project, FURTHER) == tags(ecr_project, "us-west-2") != {}
    host = ecr_project.ecr.host_of(FURTHER)
    further = [row for row in rows(ecr_project) if row["region"] == FURTHER]
    assert {row["uri"].partition("/")[0] for row in further} == {host}
    with (ecr_project.small.directory / "dist" / "uris.csv").open(newline="") as file:
        assert [row["uri"] for row in csv.DictReader(file)] == [row["uri"] for row in rows(ecr_project)]

    ecr_project.ecr.state.requests.clear()
    done = ecr_project.run("release", "one-*")
    assert "nothing changed: 2 units and 1 lists are published in 2 regions" in done.err
    # The first time without a token, which only a challenge asks for.
    asked = {each for each in ecr_project.ecr.state.requests if f" {FURTHER} " in each}
    tag = further[0]["index_tag"]
    assert asked == {f"HEAD {FURTHER} /v2/{ecr_project.prefix}/one/manifests/{tag}"}


def test_going_back_takes_the_further_region_along(ecr_project: EcrProject) -> None:
    ecr_project.table(regions=f'["{FURTHER}"]')
    ecr_project.make_repositories()
    for name in ("one", "two", "releases"):
        ecr_project.ecr.api(FURTHER).create_repository(repositoryName=f"{ecr_project.prefix}/{name}")
    assert ecr_project.run("release", "one-*").code == 0
    first = rows(ecr_project)
    ecr_project.small.template("ENV CHANGED=yes")
    assert ecr_project.run("release", "one-*").code == 0
    assert {row["digest"] for row in rows(ecr_project)}.isdisjoint(row["digest"] for row in first)
    listed = json.loads(ecr_project.run("history", "--json").out)
    assert [row["images"] for row in listed] == [2, 2]
    back = ecr_project.run("rollback", listed[1]["release"])
    assert back.code == 0, back.err
    assert rows(ecr_project) == first
    tag = first[0]["index_tag"]
    assert tags(ecr_project, FURTHER)[tag] == tags(ecr_project, "us-west-2")[tag] == first[0]["index_digest"]


def test_where_ecr_replicates_nothing_is_sent_twice(ecr_project: EcrProject) -> None:
    ecr_project.table(regions=f'["{FURTHER}"]')
    made = ecr_project.run("ecr", "ensure")
    assert made.code == 0, made.err
    ecr_project.ecr.behaviour.replication_seconds = 1.0
    ecr_project.ecr.state.requests.clear()
    ran = ecr_project.run("release", "one-*")
    assert ran.code == 0, ran.err
    assert f"{FURTHER}: waiting for replication: 1 to come" in ran.err
    assert f"{FURTHER}: replication brought 1, 0 to come" in ran.err
    sent = {each.split()[0] for each in ecr_project.ecr.state.requests if f" {FURTHER} " in each}
    assert sent == {"HEAD"}
    assert places(ecr_project) == [(name, region) for name in ONE for region in ("us-west-2", FURTHER)]
    assert tags(ecr_project, FURTHER) == tags(ecr_project, "us-west-2")
    policy = json.loads(ecr_project.run("ecr", "policy", "--for", "release").out)
    assert "ecr:DescribeRegistry" in str(policy)
