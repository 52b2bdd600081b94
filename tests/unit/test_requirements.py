"""Requirements of the catalog: the plain ones are judged as packaging judges them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from toolkit.catalog.requirements import identity, requirement_problem


def is_requirement(text: str) -> bool:
    try:
        return not Requirement(text).url
    except InvalidRequirement:
        return False


@given(st.text(st.sampled_from("aZ0.-_=! <>[];@\n²é"), max_size=12))
def test_a_text_without_problem_is_a_requirement_and_no_other(text: str) -> None:
    assert (requirement_problem(text, ()) is None) == is_requirement(text)


@given(st.from_regex(r"[A-Za-z0-9._-]{1,8}==[0-9.]{1,6}", fullmatch=True))
def test_name_and_version_are_judged_and_compared_as_packaging_does_it(text: str) -> None:
    assert (requirement_problem(text, ()) is None) == is_requirement(text)
    if is_requirement(text):
        assert identity(text) == (canonicalize_name(Requirement(text).name), frozenset(), "")


@pytest.mark.parametrize("version", ["1.12.1", "2.0rc1", "1.0.post2"])
def test_a_version_is_filled_in_before_it_is_judged(version: str) -> None:
    assert requirement_problem("torch=={version}", (version,)) is None
    assert "is not a PEP 508 requirement" in str(requirement_problem("torch={version}", (version,)))
