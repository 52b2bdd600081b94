"""Lifecycle policies: the one that is wanted, and what any of them can ever expire.

How ECR evaluates: https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html. All rules
look at all images; the one of the lowest priority that selects an image by its tags decides over it, and no
later one can expire it. Of a rule's patterns all must match, each any of the image's tags.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from toolkit.ecr.immutability import fits
from toolkit.errors import RegistryTrouble
from toolkit.oci import Digest

# More images than a repository can have (100,000, adjustable): a rule that keeps so many expires none, and
# keeps later rules from what it selects.
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
KEPT_FOREVER = 999_999
_MOST_IMAGES = 100_000

# A unit that nothing changed for so long has mirrors and bases that moved on: its steps would not be hit.
CACHE_DAYS = 60


@dataclass(frozen=True, kw_only=True)
class StoredImage:
    """An image or list as a repository of ECR keeps it."""

    digest: Digest
    tags: tuple[str, ...]
    pushed: datetime


@dataclass(frozen=True, kw_only=True)
class Rule:
    """`patterns` are empty for rules about untagged or any images. `count` is of images or of days."""

    priority: int
    tag_status: str
    patterns: tuple[str, ...]
    count_type: str
    count: int
    action: str

    def selects(self, image: StoredImage) -> bool:
        """By its tags; age and number come later."""
        match self.tag_status:
            case "any":
                return True
            case "untagged":
                return not image.tags
            case _:
                return bool(self.patterns) and all(
                    any(fits(pattern, tag) for tag in image.tags) for pattern in self.patterns
                )

    @property
    def is_harmless(self) -> bool:
        """Whether it can never act, whatever the time and the number of images."""
        return self.count_type == "imageCountMoreThan" and self.count >= _MOST_IMAGES

    def __str__(self) -> str:
        what = " and ".join(self.patterns) or f"{self.tag_status} images"
        return f"rule {self.priority} ({what}, {self.count_type} {self.count})"


def wanted_policy(filters: Sequence[str], days: int) -> Mapping[str, Any]:
    """Expire builds that no public tag ever named after `days`, and nothing else.

    `filters` are those of the movable tags: what has such a tag, or one that goes on from it, as those of
    a platform and of a revision do, is kept for ever. Lists are untagged once their tag has moved: no rule
    speaks of untagged images.
    """
    kept = [
        {
            "rulePriority": at,
            "description": f"Published: {pattern}* is kept",
            "selection": {
                "tagStatus": "tagged",
                "tagPatternList": [f"{pattern}*"],
                "countType": "imageCountMoreThan",
                "countNumber": KEPT_FOREVER,
            },
            "action": {"type": "expire"},
        }
        for at, pattern in enumerate(filters, start=1)
    ]
    expired = {
        "rulePriority": len(kept) + 1,
        "description": f"Builds that were never published: {days} days",
        "selection": {
            "tagStatus": "tagged",
            "tagPatternList": ["b-*"],
            "countType": "sinceImagePushed",
            "countUnit": "days",
            "countNumber": days,
        },
        "action": {"type": "expire"},
    }
    return {"rules": [*kept, expired]}


def cache_policy() -> Mapping[str, Any]:
    """For a repository of build caches: what a newer cache has replaced goes after a day, and what nothing
    renewed after CACHE_DAYS, as of units that have left the catalog.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
    """
    rules = (("untagged", 1, "Replaced caches: 1 day"), ("any", CACHE_DAYS, f"Caches: {CACHE_DAYS} days"))
    return {
        "rules": [
            {
                "rulePriority": priority,
                "description": description,
                "selection": {
                    "tagStatus": status,
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": days,
                },
                "action": {"type": "expire"},
            }
            for priority, (status, days, description) in enumerate(rules, start=1)
        ]
    }


def parse_policy(text: str) -> tuple[Rule, ...]:
    """In the order of priority. Raises RegistryTrouble for what is no lifecycle policy."""
    try:
        return tuple(sorted(map(_rule, json.loads(text)["rules"]), key=lambda rule: rule.priority))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RegistryTrouble(f"a lifecycle policy cannot be read: {error!r}") from error


def _rule(data: Mapping[str, Any]) -> Rule:
    selection = data["selection"]
    prefixes = [f"{prefix}*" for prefix in selection.get("tagPrefixList") or ()]
    return Rule(
        priority=int(data["rulePriority"]),
        tag_status=str(selection["tagStatus"]),
        patterns=(*(selection.get("tagPatternList") or ()), *prefixes),
        count_type=str(selection["countType"]),
        count=int(selection["countNumber"]),
        action=str(data["action"]["type"]),
    )


def danger(rules: Sequence[Rule], image: StoredImage) -> Rule | None:
    """The rule that may take the image away, now or at any later time; None when none ever can.

    Taking away is to expire or to archive it: what is archived cannot be pulled.
    """
    decides = next((rule for rule in rules if rule.selects(image)), None)
    return None if decides is None or decides.is_harmless else decides


def taken_at(rules: Sequence[Rule], images: Iterable[StoredImage], now: datetime) -> Mapping[Digest, Rule]:
    """What the rules would take away at `now`, with the rule that does."""
    every = sorted(images, key=lambda image: (image.pushed, image.digest), reverse=True)
    decided: set[Digest] = set()
    taken: dict[Digest, Rule] = {}
    for rule in rules:
        selected = [image for image in every if rule.selects(image)]
        if rule.count_type == "imageCountMoreThan":
            ripe = selected[rule.count :]
        else:
            ripe = [image for image in selected if now - image.pushed > timedelta(days=rule.count)]
        taken |= {image.digest: rule for image in ripe if image.digest not in decided}
        decided |= {image.digest for image in selected}
    return taken
