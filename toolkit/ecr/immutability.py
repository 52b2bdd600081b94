"""Which tags of a repository may move, as exclusion filters of its tag immutability.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageTagMutabilityExclusionFilter.html
"""

import re
from collections.abc import Collection, Iterable

from toolkit.errors import UsageError
from toolkit.units import BuildUnit

# "Array Members: Minimum number of 1 item. Maximum number of 5 items":
# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImageTagMutability.html
MAXIMUM = 5


def movable_tags(units: Iterable[BuildUnit]) -> tuple[str, ...]:
    """Tags of lists move, as platforms join them; those of a revision are new ones and never do."""
    return tuple(sorted({unit.list_tag for unit in units if unit.image.revision == 1}))


def fixed_tags(units: Iterable[BuildUnit]) -> tuple[str, ...]:
    """Tags that name one image for good: of a platform, and of a revision's lists."""
    rows = tuple(units)
    revised = {unit.list_tag for unit in rows if unit.image.revision > 1}
    return tuple(sorted({unit.arch_tag for unit in rows} | revised))


def exclusion_filters(
    movable: Collection[str], fixed: Collection[str], *, repository: str
) -> tuple[str, ...]:
    """Filters that all `movable` tags match and none of the `fixed` ones, sorted.

    A tag is matched by its last part, `*-sagemaker`, so that the next version is too; where a fixed tag
    has the same, by the tag as it is. Raises UsageError when ECR takes fewer than are needed.
    """
    filters: set[str] = set()
    for tag in movable:
        general = "*-" + tag.rpartition("-")[2] if "-" in tag else tag
        clashes = any(fits(general, other) for other in fixed)
        filters.add(tag if clashes else general)
    if len(filters) > MAXIMUM:
        raise UsageError(
            f"repository {repository}: its lists have tags with {len(filters)} endings "
            f"({', '.join(sorted(filters))}); ECR takes {MAXIMUM} exceptions from immutability",
            remedy="End each `tag` of images.toml in -{consumer}, or give some images another repository.",
        )
    return tuple(sorted(filters))


def fits(pattern: str, tag: str) -> bool:
    """`*` stands for any characters, as in all of ECR's patterns."""
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), tag) is not None
