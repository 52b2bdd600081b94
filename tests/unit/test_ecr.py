"""Amazon ECR as a catalog wants it: which tags move, what may expire, who may pull, what has to change."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.projects import CATALOG, TENSORFLOW, catalog, digest, units
from tests.records import image, record
from toolkit.catalog.registry import EcrRegistry, Encryption
from toolkit.ecr.changes import Change, lasting_difference, repository_changes
from toolkit.ecr.ensure import kept_digests, look, previewed
from toolkit.ecr.immutability import exclusion_filters, fits, fixed_tags, movable_tags
from toolkit.ecr.lifecycle import (
    Rule,
    StoredImage,
    danger,
    parse_policy,
    taken_at,
    wanted_policy,
)
from toolkit.ecr.policies import Purpose, comparable, identity_policy, repository_policy
from toolkit.ecr.settings import (
    Mutability,
    ReplicationRule,
    RepositorySettings,
    repositories_of,
    wanted_cache,
    wanted_replication,
    wanted_settings,
)
from toolkit.errors import Conflict, ExitCode, RegistryTrouble, UsageError
from toolkit.oci import Digest

MUTABLE = Mutability.MUTABLE
NOW = datetime(2026, 11, 21, tzinfo=UTC)
LIST = "1.12.1-cpu-py39-debian11-sagemaker"
TABLE = """
[registries.prod]
kind = "ecr"
account = "123456789012"
region = "us-west-2"
regions = ["eu-central-1"]
accounts = ["210987654321", "345678901234"]
prefix = "ml"
unpublished_days = 30
"""


def prod(table: str = TABLE) -> EcrRegistry:
    found = catalog(CATALOG + table).registries["prod"]
    assert isinstance(found, EcrRegistry)
    return found


def stored(number: int, *tags: str, days: float = 0) -> StoredImage:
    return StoredImage(digest=digest(number), tags=tags, pushed=NOW - timedelta(days=days))


# --- tags


def test_tags_of_lists_move_and_those_of_platforms_builds_and_revisions_do_not() -> None:
    rows = units(PYTORCH_ONLY)
    filters = exclusion_filters(movable_tags(rows), fixed_tags(rows), repository="pytorch-inference")
    assert filters == ("*-sagemaker",)
    for tag, moves in (
        (LIST, True),
        (f"{LIST}-arm64", False),
        (f"{LIST}-amd64", False),
        ("b-0123456789abcdef", False),
        (f"{LIST}-r2", False),
        (f"{LIST}-r2-arm64", False),
        (LIST.replace("1.12.1", "2.0.0"), True),
    ):
        assert any(fits(each, tag) for each in filters) == moves, tag


PYTORCH_ONLY = CATALOG.replace(TENSORFLOW, "").replace(', "tensorflow-*-sagemaker-*"', "")


def test_the_lists_of_a_revision_are_new_tags_and_never_move() -> None:
    rows = units(PYTORCH_ONLY.replace('repository = "py', 'revision = 2\nrepository = "py'))
    assert movable_tags(rows) == ()
    assert f"{LIST}-r2" in fixed_tags(rows)


def test_a_tag_whose_ending_a_fixed_tag_has_too_is_an_exception_as_it_is() -> None:
    assert exclusion_filters(["1.0-arm64"], ["1.0-arm64-arm64"], repository="x") == ("1.0-arm64",)
    assert exclusion_filters(["plain"], [], repository="x") == ("plain",)


def test_more_endings_than_ecr_takes_are_refused_with_what_to_change() -> None:
    with pytest.raises(UsageError, match=r"6 endings .* ECR takes 5"):
        exclusion_filters([f"1-{end}" for end in "abcdef"], [], repository="x")


names = st.text("ab-1.", min_size=1, max_size=8)


@given(st.lists(names, max_size=4), st.lists(names, max_size=6))
def test_filters_match_every_movable_tag_and_no_other_fixed_one(movable: list[str], fixed: list[str]) -> None:
    filters = exclusion_filters(movable, fixed, repository="x")
    assert all(any(fits(each, tag) for each in filters) for tag in movable)
    assert not any(fits(each, tag) for each in filters for tag in set(fixed) - set(movable))


# --- lifecycle


def rules(*rows: Mapping[str, Any]) -> tuple[Rule, ...]:
    return parse_policy(
        json.dumps(
            {
                "rules": [
                    {"rulePriority": at, "selection": row, "action": {"type": "expire"}}
                    for at, row in enumerate(rows, start=1)
                ]
            }
        )
    )


def by_age(days: int, *patterns: str, status: str = "tagged") -> dict[str, Any]:
    tags = {"tagPatternList": list(patterns)} if patterns else {}
    return {
        "tagStatus": status,
        **tags,
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": days,
    }


def by_count(count: int, *patterns: str, status: str = "tagged") -> dict[str, Any]:
    tags = {"tagPatternList": list(patterns)} if patterns else {}
    return {"tagStatus": status, **tags, "countType": "imageCountMoreThan", "countNumber": count}


WANTED = parse_policy(json.dumps(wanted_policy(["*-eks", "*-sagemaker"], 30)))


@pytest.mark.parametrize(
    ("tags", "goes"),
    [
        ((LIST,), False),
        ((f"{LIST}-arm64", "b-0123456789abcdef"), False),
        ((f"{LIST}-r2",), False),
        ((f"{LIST}-r2-amd64", "b-0123456789abcdef"), False),
        ((), False),
        (("b-0123456789abcdef",), True),
    ],
    ids=["list", "platform", "revision", "platform-of-revision", "untagged", "build-only"],
)
def test_only_what_no_public_tag_names_can_ever_expire(tags: tuple[str, ...], goes: bool) -> None:
    image = stored(1, *tags, days=31)
    assert bool(danger(WANTED, image)) == goes
    assert (image.digest in taken_at(WANTED, [image], NOW)) == goes
    assert not taken_at(WANTED, [stored(1, *tags, days=29)], NOW)


def test_the_wanted_policy_has_the_length_that_the_api_asks_for_and_is_read_back_as_it_is() -> None:
    text = json.dumps(wanted_policy(["*-sagemaker"], 30))
    assert 100 <= len(text) <= 30720
    assert [str(rule) for rule in parse_policy(text)] == [
        "rule 1 (*-sagemaker*, imageCountMoreThan 999999)",
        "rule 2 (b-*, sinceImagePushed 30)",
    ]


def test_a_rule_keeps_what_it_selects_from_all_later_ones() -> None:
    kept = rules(by_count(999_999, "prod*"), by_age(1, status="any"))
    assert taken_at(kept, [stored(1, "prod1", days=9), stored(2, "dev1", days=9)], NOW).keys() == {digest(2)}


def test_of_several_patterns_all_must_match_some_tag() -> None:
    both = rules(by_age(1, "prod*", "*-arm64"))
    assert danger(both, stored(1, "prod-arm64"))
    assert danger(both, stored(1, "prod", "x-arm64"))
    assert not danger(both, stored(1, "prod"))


def test_of_a_number_the_youngest_stay() -> None:
    three = [stored(at, f"v{at}", days=at) for at in range(1, 4)]
    assert taken_at(rules(by_count(2, "v*")), three, NOW).keys() == {digest(3)}
    # What fits today goes when more come.
    assert danger(rules(by_count(9999, "v*")), three[0])


def test_untagged_lists_are_in_danger_from_a_rule_about_untagged_images() -> None:
    old = rules(by_age(14, status="untagged"))
    assert danger(old, stored(1))
    assert not danger(old, stored(1, "x"))


def test_what_is_archived_cannot_be_pulled_and_counts_as_taken() -> None:
    text = json.dumps(
        {"rules": [{"rulePriority": 1, "selection": by_age(9, "v*"), "action": {"type": "transition"}}]}
    )
    assert danger(parse_policy(text), stored(1, "v1"))


def test_text_that_is_no_policy_is_told() -> None:
    with pytest.raises(RegistryTrouble, match="a lifecycle policy cannot be read"):
        parse_policy('{"rules": [{}]}')


tag_sets = st.lists(st.sampled_from(["b-1", LIST, f"{LIST}-arm64", "v1", "x-eks"]), max_size=3, unique=True)
some_rules = st.lists(
    st.builds(
        by_age,
        st.integers(1, 60),
        st.sampled_from(["b-*", "*-sagemaker*", "v*", "*"]),
        status=st.just("tagged"),
    )
    | st.builds(
        by_count, st.integers(1, 3) | st.just(999_999), st.sampled_from(["b-*", "*-sagemaker*", "v*", "*"])
    ),
    max_size=4,
)


@given(st.lists(st.tuples(tag_sets, st.integers(0, 90)), max_size=6), some_rules, st.integers(0, 400))
def test_nothing_is_ever_taken_that_was_not_in_danger(
    images: list[tuple[list[str], int]], rows: list[dict[str, Any]], later: int
) -> None:
    every = [stored(at, *tags, days=days) for at, (tags, days) in enumerate(images)]
    policy = rules(*rows)
    taken = taken_at(policy, every, NOW + timedelta(days=later))
    assert all(danger(policy, each) == taken[each.digest] for each in every if each.digest in taken)


# --- settings and changes


def settings(**others: Any) -> RepositorySettings:
    given: dict[str, Any] = {
        "name": "ml/pytorch-inference",
        "mutability": Mutability.IMMUTABLE_WITH_EXCLUSION,
        "filters": ("*-sagemaker",),
        "scans_on_push": True,
        "encryption": Encryption.AES256,
        "kms_key": "",
        "policy": repository_policy(prod(), None),
        "lifecycle": wanted_policy(("*-sagemaker",), 30),
    }
    return RepositorySettings(**(given | others))


def test_every_repository_of_the_catalog_is_wanted_and_the_one_of_records() -> None:
    registry = prod()
    assert repositories_of(registry, units()) == (
        "ml/pytorch-inference",
        "ml/releases",
        "ml/tensorflow-inference",
    )
    pytorch, tensorflow, releases = wanted_settings(registry, units(), {})
    assert pytorch == settings()
    assert tensorflow.filters == ("*-eks", "*-sagemaker")
    assert releases.filters == ("newest",)
    assert releases.lifecycle is None


def test_a_lifecycle_that_the_catalog_does_not_speak_of_stays() -> None:
    theirs = {"rules": [{"rulePriority": 1}]}
    observed = {"ml/pytorch-inference": settings(lifecycle=theirs)}
    found = wanted_settings(prod(TABLE.replace("unpublished_days = 30", "")), units(), observed)
    assert found[0].lifecycle == theirs


def test_other_peoples_statements_stay_and_ours_is_mended() -> None:
    theirs = {"Sid": "Audit", "Effect": "Allow", "Principal": "*", "Action": "ecr:DescribeImages"}
    stale = {"Sid": "MultiarchImagesPull", "Effect": "Allow", "Principal": {"AWS": "1"}, "Action": []}
    mended = repository_policy(prod(), {"Version": "2012-10-17", "Statement": [stale, theirs]})
    assert mended
    assert mended["Statement"][0] == theirs
    assert mended["Statement"][1]["Principal"] == {
        "AWS": ["arn:aws:iam::210987654321:root", "arn:aws:iam::345678901234:root"]
    }
    nobody = prod(TABLE.replace('accounts = ["210987654321", "345678901234"]\n', ""))
    assert repository_policy(nobody, {"Version": "2012-10-17", "Statement": [stale]}) is None


def test_two_spellings_of_one_policy_are_one() -> None:
    one = {"Version": "2012-10-17", "Statement": [{"Sid": "a", "Effect": "Allow", "Action": ["b", "a"]}]}
    other = {"Statement": [{"Effect": "Allow", "Action": ["a", "b"], "Sid": "a"}], "Version": "2012-10-17"}
    single = {"Version": "2012-10-17", "Statement": [{"Sid": "a", "Effect": "Allow", "Action": "a"}]}
    assert comparable(one) == comparable(other)
    assert comparable(single) == comparable(
        {"Version": "2012-10-17", "Statement": [{"Sid": "a", "Effect": "Allow", "Action": ["a"]}]}
    )
    assert comparable(one) != comparable(single)


def texts(changes: Sequence[Change]) -> list[str]:
    return [" ".join(str(each).split()) for each in changes]


def test_what_is_not_there_is_made_and_what_differs_is_told_with_before_and_after() -> None:
    assert texts(repository_changes("us-west-2", settings(), None)) == [
        "create us-west-2 ml/pytorch-inference: tags immutable except *-sagemaker; scan on push; "
        "encryption AES256",
        "policy us-west-2 ml/pytorch-inference: 210987654321, 345678901234 may pull",
        "lifecycle us-west-2 ml/pytorch-inference: Published: *-sagemaker* is kept; "
        "Builds that were never published: 30 days",
    ]
    before = settings(
        mutability=Mutability.MUTABLE, filters=(), scans_on_push=False, policy=None, lifecycle=None
    )
    assert texts(repository_changes("us-west-2", settings(), before)) == [
        "tags us-west-2 ml/pytorch-inference: tags mutable -> tags immutable except *-sagemaker",
        "scan us-west-2 ml/pytorch-inference: no scan on push -> scan on push",
        "policy us-west-2 ml/pytorch-inference: no policy -> 210987654321, 345678901234 may pull",
        "lifecycle us-west-2 ml/pytorch-inference: no lifecycle policy -> Published: *-sagemaker* is kept; "
        "Builds that were never published: 30 days",
    ]
    assert repository_changes("us-west-2", settings(), settings()) == ()


def test_an_encryption_that_cannot_be_changed_is_a_conflict() -> None:
    problem = lasting_difference("us-west-2", settings(), settings(encryption=Encryption.KMS))
    assert isinstance(problem, Conflict)
    assert "is encrypted with KMS, images.toml says AES256" in problem.message
    assert lasting_difference("us-west-2", settings(), settings()) is None


def test_a_rule_of_replication_is_added_for_what_no_other_covers_and_none_is_dropped() -> None:
    registry = prod()
    names = repositories_of(registry, units())
    theirs = ReplicationRule(
        destinations=(("eu-west-1", "123456789012"),), prefixes=("other/",), deletes=True
    )
    ours = ReplicationRule(destinations=(("eu-central-1", "123456789012"),), prefixes=("ml/",))
    assert wanted_replication(registry, names, [theirs]) == (theirs, ours)
    assert wanted_replication(registry, names, [theirs, ours]) == (theirs, ours)
    everything = ReplicationRule(destinations=ours.destinations, prefixes=())
    assert wanted_replication(registry, names, [everything]) == (everything,)


# --- the whole


class FakeControl:
    """One region in memory."""

    def __init__(self, region: str, images: Mapping[str, tuple[StoredImage, ...]] | None = None) -> None:
        self.region = region
        self.repositories: dict[str, RepositorySettings] = {}
        self.rules: tuple[ReplicationRule, ...] = ()
        self.images = images or {}
        self.foreseen: dict[Digest, int] = {}

    def lookup_repositories(self, names: Sequence[str]) -> Mapping[str, RepositorySettings]:
        return {name: self.repositories[name] for name in names if name in self.repositories}

    def list_replication(self) -> tuple[ReplicationRule, ...]:
        return self.rules

    def list_images(self, repository: str) -> tuple[StoredImage, ...]:
        return self.images.get(repository, ())

    def preview(self, repository: str, policy: str) -> Mapping[Digest, int]:
        parse_policy(policy)
        return self.foreseen

    def apply(self, change: Change) -> None:
        if change.wanted:
            self.repositories[change.name] = change.wanted
        else:
            self.rules = change.rules


def test_what_was_carried_out_leaves_nothing_to_change() -> None:
    registry = prod()
    controls = [FakeControl("us-west-2"), FakeControl("eu-central-1")]
    first = look(registry, units(), controls, {})
    by_region = {control.region: control for control in controls}
    for change in first.changes:
        by_region[change.region].apply(change)
    assert len(first.changes) == 17
    assert look(registry, units(), controls, {}).changes == ()


def test_a_policy_that_could_expire_what_a_kept_record_names_is_a_conflict() -> None:
    kept = stored(1, "b-0123456789abcdef", days=1)
    control = FakeControl("us-west-2", {"ml/pytorch-inference": (kept, stored(2, "b-1", days=99))})
    control.repositories["ml/pytorch-inference"] = settings()
    live = {"ml/pytorch-inference": {kept.digest: "pytorch of release R"}}
    registry = prod(TABLE.replace('regions = ["eu-central-1"]\n', ""))
    found = look(registry, units(), [control], live)
    (problem,) = found.problems
    assert found.checked == 1
    assert problem.exit_code is ExitCode.CONFLICT
    assert f"ml/pytorch-inference@{kept.digest} in us-west-2 (pytorch of release R)" in problem.message
    assert "rule 2 (b-*, sinceImagePushed 30)" in problem.message


def test_what_the_preview_of_ecr_would_expire_of_kept_records_is_a_conflict() -> None:
    control = FakeControl("us-west-2")
    control.foreseen = {digest(1): 2, digest(2): 2}
    (problem,) = previewed(control, settings(), {digest(1): "pytorch of release R"})
    assert "rule 2, says ECR's preview" in problem.message


def test_records_keep_images_lists_and_all_that_stands_behind_lists() -> None:
    one = image()
    behind = digest(77)
    asked = []

    def children(repository: str, index: Digest) -> list[Digest]:
        asked.append(index)
        return [Digest(one.digest), behind]

    live = kept_digests([record(one), record(one)], children)
    assert set(live[one.repository]) == {Digest(one.digest), Digest(one.index_digest), behind}
    assert asked == [Digest(one.index_digest)]
    assert live[one.repository][behind].startswith("behind the list of pytorch-arm64 of release ")


# --- IAM


@pytest.mark.parametrize("purpose", list(Purpose))
def test_policies_name_no_wildcard_but_where_aws_has_no_narrower_resource(purpose: Purpose) -> None:
    document = identity_policy(purpose, prod(), repositories_of(prod(), units()))
    for statement in document["Statement"]:
        assert not any("*" in action for action in statement["Action"])
        if statement["Resource"] == "*":
            assert set(statement["Action"]) <= {
                "ecr:GetAuthorizationToken",
                "ecr:DescribeRegistry",
                "ecr:PutReplicationConfiguration",
            }
    arns = [
        arn
        for each in document["Statement"]
        if isinstance(each["Resource"], list)
        for arn in each["Resource"]
    ]
    assert "arn:aws:ecr:eu-central-1:123456789012:repository/ml/releases" in arns
    assert len(arns) == 6


def test_who_pulls_may_not_push_and_who_releases_may_not_delete() -> None:
    actions = {
        purpose: {
            action
            for each in identity_policy(purpose, prod(), ["x"])["Statement"]
            for action in each["Action"]
        }
        for purpose in Purpose
    }
    assert "ecr:PutImage" not in actions[Purpose.PULL]
    assert actions[Purpose.PULL] < actions[Purpose.RELEASE]
    assert not any("Delete" in each or "Create" in each for each in actions[Purpose.RELEASE])
    assert "ecr:CreateRepository" in actions[Purpose.ENSURE]


CACHED = TABLE + 'cache = "build-cache"\n'


def test_the_repository_of_build_caches_is_mutable_and_expires_what_was_replaced_or_never_renewed() -> None:
    registry = prod(CACHED)
    others = {"Version": "2012-10-17", "Statement": [{"Sid": "Theirs", "Effect": "Deny"}]}
    (cache,) = wanted_cache(registry, "us-west-2", {"build-cache": settings(policy=others)})
    assert (cache.name, cache.mutability, cache.filters) == ("build-cache", MUTABLE, ())
    assert cache.policy == others
    policy = parse_policy(json.dumps(cache.lifecycle))
    images = [
        stored(1, "pytorch-arm64", days=3),
        stored(2, days=3),
        stored(3, days=0.5),
        stored(4, "left-the-catalog", days=61),
    ]
    assert set(taken_at(policy, images, NOW)) == {digest(2), digest(4)}
    assert wanted_cache(registry, "eu-central-1", {}) == ()
    assert wanted_cache(prod(), "us-west-2", {}) == ()


def test_only_who_releases_may_write_build_caches_and_only_at_home() -> None:
    home = "arn:aws:ecr:us-west-2:123456789012:repository/build-cache"
    documents = {purpose: json.dumps(identity_policy(purpose, prod(CACHED), ["ml/x"])) for purpose in Purpose}
    assert home in documents[Purpose.RELEASE] and home in documents[Purpose.ENSURE]
    assert "build-cache" not in documents[Purpose.PULL]
    assert not any("eu-central-1:123456789012:repository/build-cache" in text for text in documents.values())


def test_policies_in_china_have_its_partition() -> None:
    table = TABLE.replace("us-west-2", "cn-north-1").replace("eu-central-1", "cn-northwest-1")
    assert "arn:aws-cn:ecr:cn-north-1" in json.dumps(identity_policy(Purpose.PULL, prod(table), ["x"]))
    policy = repository_policy(prod(table), None)
    assert policy and policy["Statement"][0]["Principal"]["AWS"][0] == "arn:aws-cn:iam::210987654321:root"
