"""The Graviton type to move to."""

import pytest

from toolkit.resolve import Unresolvable
from toolkit.resolve.migration import get_graviton_type


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ml.c5.xlarge", "ml.c8g.xlarge"),
        ("ml.m5.large", "ml.m8g.large"),
        ("c6i.2xlarge", "ml.c8g.2xlarge"),
        ("ml.m5d.xlarge", "ml.m6gd.xlarge"),
    ],
)
def test_the_newest_type_of_the_series_and_size_is_named(name: str, expected: str) -> None:
    assert get_graviton_type(name).name == expected


@pytest.mark.parametrize("name", ["ml.g5.xlarge", "ml.inf2.xlarge", "ml.t2.medium"])
def test_a_type_without_counterpart_is_an_error(name: str) -> None:
    with pytest.raises(Unresolvable, match="Graviton"):
        get_graviton_type(name)
