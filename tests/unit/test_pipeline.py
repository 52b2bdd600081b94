"""buildspecs/pipeline.cfn.yaml: clean, of this project's parts, with no more rights than it takes.

What CloudFormation would say is cfn-lint's to know: it has the schema of every resource.
"""

import json
from collections.abc import Mapping
from typing import Any

import cfnlint.decode  # type: ignore[import-untyped]
import pytest
from cfnlint.api import lint_file  # type: ignore[import-untyped]

from tests.codebuild.buildspec import read_buildspec
from tests.projects import ROOT, TEMPLATES
from toolkit.catalog import parse_catalog
from toolkit.catalog.registry import EcrRegistry
from toolkit.codebuild.batch import Limits
from toolkit.codebuild.machines import COMPUTES
from toolkit.ecr.immutability import fits, fixed_tags, movable_tags
from toolkit.ecr.lifecycle import cache_policy
from toolkit.ecr.policies import Purpose, identity_policy
from toolkit.ecr.settings import repositories_of, wanted_settings
from toolkit.oci import Digest
from toolkit.record import NEWEST
from toolkit.tags import build_tag, staged_tag
from toolkit.units import expand

PATH = ROOT / "buildspecs" / "pipeline.cfn.yaml"
PREFIX = "multiarch-images"
CATALOG = parse_catalog(
    (ROOT / "images.toml").read_text()
    + f'[registries.it]\nkind = "ecr"\naccount = "123456789012"\nregion = "us-west-2"\nprefix = "{PREFIX}"\n'
    f'regions = ["eu-west-1"]\ncache = "{PREFIX}/steps"\n',
    templates=TEMPLATES.keys(),
)
UNITS = expand(CATALOG)
(REGISTRY,) = (each for each in CATALOG.registries.values() if isinstance(each, EcrRegistry))
RELEASE = identity_policy(Purpose.RELEASE, REGISTRY, repositories_of(REGISTRY, UNITS))


def _template() -> Mapping[str, Any]:
    read, faults = cfnlint.decode.decode(str(PATH))
    assert not faults
    assert isinstance(read, dict)
    return read


TEMPLATE = _template()
RESOURCES: Mapping[str, Mapping[str, Any]] = {
    name: each for name, each in TEMPLATE["Resources"].items() if not name.startswith("Fn::")
}
PARAMETERS = TEMPLATE["Parameters"]
REPOSITORY = TEMPLATE["Resources"]["Fn::ForEach::Repositories"][2]["Repository&{Name}"]["Properties"]


def of_type(kind: str) -> dict[str, Mapping[str, Any]]:
    return {name: each["Properties"] for name, each in RESOURCES.items() if each["Type"] == f"AWS::{kind}"}


PROJECTS = of_type("CodeBuild::Project")


def statements(role: str) -> dict[str, Mapping[str, Any]]:
    (policy,) = RESOURCES[role]["Properties"]["Policies"]
    return {each["Sid"]: each for each in policy["PolicyDocument"]["Statement"]}


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else sorted(value)


def actions(role: str, service: str) -> set[str]:
    found = {action for each in statements(role).values() for action in listed(each["Action"])}
    return {each for each in found if each.startswith(f"{service}:")}


def alternatives(value: object) -> list[str]:
    """A text, or the two of a condition."""
    if isinstance(value, dict):
        (found,) = value.values()
        return [str(each) for each in found[1:]]
    return [str(value)]


def test_cfn_lint_finds_nothing() -> None:
    assert [f"{each.linenumber}: {each.message}" for each in lint_file(PATH)] == []


def test_releasing_may_do_what_the_toolkit_says_it_takes_and_nothing_else() -> None:
    wanted = {action for each in RELEASE["Statement"] for action in listed(each["Action"])}
    assert actions("BuildRole", "ecr") == wanted


def test_what_releasing_writes_to_lies_below_the_prefix_of_this_account() -> None:
    where = statements("BuildRole")["Release"]["Resource"]["Fn::Sub"]
    pattern = (
        where.replace("${AWS::Partition}", "aws")
        .replace("${AWS::AccountId}", "123456789012")
        .replace("${Prefix}", PREFIX)
    )
    arns = [arn for each in RELEASE["Statement"] for arn in listed(each["Resource"]) if arn != "*"]
    assert len(arns) > len({unit.repository for unit in UNITS})
    assert all(fits(pattern, arn) for arn in arns)
    assert not fits(pattern, "arn:aws:ecr:us-west-2:123456789012:repository/others/image")


def test_who_plans_and_starts_batches_may_only_read() -> None:
    policy = identity_policy(Purpose.PLAN, REGISTRY, ())
    wanted = {action for each in policy["Statement"] for action in listed(each["Action"])}
    assert actions("StartRole", "ecr") == wanted
    assert not any(word in action for action in wanted for word in ("Put", "Upload", "Delete", "Create"))
    assert actions("StartRole", "codebuild") == {
        "codebuild:StartBuildBatch",
        "codebuild:BatchGetBuildBatches",
    }


def test_no_build_can_start_another() -> None:
    starters = {role for role in of_type("IAM::Role") if "codebuild:StartBuild" in actions(role, "codebuild")}
    assert starters == {"BatchRole", "ScheduleRole"}
    roles = {json.dumps(each["ServiceRole"]) for each in PROJECTS.values()}
    assert not any(starter in role for starter in starters for role in roles)


def test_what_all_builds_may_is_to_read_their_source_and_whose_the_bucket_is() -> None:
    shared = of_type("IAM::ManagedPolicy")
    found = {
        name: [each["Action"] for each in policy["PolicyDocument"]["Statement"]]
        for name, policy in shared.items()
    }
    assert found == {
        "SourcePolicy": [
            [f"codeconnections:{each}" for each in ("GetConnection", "GetConnectionToken", "UseConnection")]
        ],
        "BucketIdentity": [["s3:GetBucketAcl", "s3:GetBucketLocation"]],
    }
    roles = {each["Ref"] for policy in shared.values() for each in policy["Roles"]}
    assert roles == {"CheckRole", "StartRole", "BuildRole", "UpgradeRole"}


def test_a_pull_request_reaches_neither_registry_nor_anyone_elses_cache() -> None:
    assert set(statements("CheckRole")) == {"Log", "Cache"}
    caches = {name: each["Cache"]["Location"]["Fn::Sub"] for name, each in PROJECTS.items()}
    assert len(set(caches.values())) == len(caches)
    assert statements("CheckRole")["Cache"]["Resource"]["Fn::Sub"] == "${Bucket.Arn}/cache/check/*"


@pytest.mark.parametrize("role", list(of_type("IAM::Role")))
def test_only_what_has_no_narrower_resource_is_allowed_everywhere(role: str) -> None:
    everywhere = {
        action
        for each in statements(role).values()
        if each["Resource"] == "*"
        for action in listed(each["Action"])
    }
    assert everywhere <= {"ecr:GetAuthorizationToken", "ecr:DescribeRegistry"}


@pytest.mark.parametrize("project", PROJECTS)
def test_the_buildspec_of_each_project_is_there_and_calls_make_targets(project: str) -> None:
    targets = (ROOT / "Makefile").read_text()
    for path in alternatives(PROJECTS[project]["Source"]["BuildSpec"]):
        phases = read_buildspec(ROOT / path).phases.values()
        for command in [command for phase in phases for command in phase.commands]:
            name, target, *_ = command.split()
            assert name in ("make", "aws")
            assert name == "aws" or f"\n{target}:" in targets


def test_who_builds_images_has_an_engine_and_a_pull_request_has_none() -> None:
    privileged = {name: each["Environment"].get("PrivilegedMode") for name, each in PROJECTS.items()}
    assert privileged == {
        "Check": None,
        "ReleaseProject": {"Fn::If": ["InBatches", False, True]},
        "Build": True,
        "Upgrade": None,
    }


def test_images_are_built_and_locked_where_apt_is_and_an_engine_can_keep_layers() -> None:
    own = "${AWS::AccountId}.dkr.ecr.${AWS::Region}.${AWS::URLSuffix}/${Prefix}/codebuild:debian12"
    places = {name: each["Environment"] for name, each in PROJECTS.items()}
    assert {name for name, each in places.items() if own in json.dumps(each["Image"])} == {
        "Build",
        "ReleaseProject",
        "Upgrade",
    }
    # "When you use a CodeBuild curated image, you must use CODEBUILD credentials", others SERVICE_ROLE:
    # https://docs.aws.amazon.com/codebuild/latest/APIReference/API_ProjectEnvironment.html
    assert {name: each.get("ImagePullCredentialsType") for name, each in places.items()} == {
        "Check": None,
        "ReleaseProject": {"Fn::If": ["InBatches", "CODEBUILD", "SERVICE_ROLE"]},
        "Build": "SERVICE_ROLE",
        "Upgrade": "SERVICE_ROLE",
    }
    assert "VOLUME /var/lib/docker" in (ROOT / "buildspecs" / "Dockerfile").read_text().splitlines()


def test_the_history_is_there_that_labels_of_images_are_made_from() -> None:
    # "If this value is 0, greater than 25, or not provided then the full history is downloaded":
    # https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.aws_codebuild.CodeCommitSourceProps.html
    assert {each["Source"]["GitCloneDepth"] for each in PROJECTS.values()} == {0}


def test_every_project_writes_to_a_log_that_ends_some_day() -> None:
    logs = of_type("Logs::LogGroup")
    for project in PROJECTS.values():
        assert project["LogsConfig"]["CloudWatchLogs"]["GroupName"]["Ref"] in logs
    assert {each["RetentionInDays"]["Ref"] for each in logs.values()} == {"LogDays"}


def test_batches_may_be_as_large_as_they_are_written_on_all_machines_that_are_asked_for() -> None:
    restrictions = PROJECTS["Build"]["BuildBatchConfig"]["Restrictions"]
    assert restrictions["MaximumBuildsAllowed"] == Limits().builds
    assert restrictions["ComputeTypesAllowed"] == [each.name for each in COMPUTES]


def test_pull_requests_are_checked_and_pushes_to_the_branch_released() -> None:
    events = {
        name: {each["Type"]: each["Pattern"] for each in project["Triggers"]["FilterGroups"][0]}
        for name, project in PROJECTS.items()
        if "Triggers" in project
    }
    assert events == {
        "Check": {
            "EVENT": "PULL_REQUEST_CREATED, PULL_REQUEST_UPDATED, PULL_REQUEST_REOPENED",
            "BASE_REF": {"Fn::Sub": "^refs/heads/${Branch}$"},
        },
        "ReleaseProject": {"EVENT": "PUSH", "HEAD_REF": {"Fn::Sub": "^refs/heads/${Branch}$"}},
    }


def test_its_repositories_are_those_of_the_catalog() -> None:
    names = {name.strip() for name in PARAMETERS["Repositories"]["Default"].split(",")}
    assert {f"{PREFIX}/{name}" for name in names} == set(repositories_of(REGISTRY, UNITS))
    assert PARAMETERS["Prefix"]["Default"] == PREFIX


def test_tags_that_move_may_and_all_others_may_not() -> None:
    rows = REPOSITORY["ImageTagMutabilityExclusionFilters"]
    filters = [each["ImageTagMutabilityExclusionFilterValue"] for each in rows]
    assert all(any(fits(each, tag) for each in filters) for tag in (*movable_tags(UNITS), NEWEST))
    fixed = (*fixed_tags(UNITS), build_tag("0" * 64), staged_tag("0" * 64, Digest.of(b"")))
    assert [tag for tag in fixed if any(fits(each, tag) for each in filters)] == []


def test_ecr_ensure_has_nothing_against_scanning_and_immutability() -> None:
    for wanted in wanted_settings(REGISTRY, UNITS, {}):
        assert wanted.mutability == REPOSITORY["ImageTagMutability"]
        assert wanted.scans_on_push == REPOSITORY["ImageScanningConfiguration"]["ScanOnPush"]


def test_the_repository_of_steps_is_as_the_toolkit_would_make_it() -> None:
    steps = RESOURCES["Steps"]["Properties"]
    assert json.loads(steps["LifecyclePolicy"]["LifecyclePolicyText"]) == cache_policy()
    assert steps["ImageTagMutability"] == "MUTABLE"


def test_no_account_is_named() -> None:
    assert "123456789012" not in PATH.read_text()
    assert not any(word.isdigit() and len(word) == 12 for word in PATH.read_text().replace(":", " ").split())
