"""The JSON of mappings of texts: what the standard library writes, whatever the texts are."""

import json

from hypothesis import given
from hypothesis import strategies as st

from toolkit.sortedjson import SortedJson

TEXTS = st.dictionaries(st.text(max_size=6), st.text(max_size=6), max_size=5)


@given(st.lists(TEXTS, max_size=4), TEXTS)
def test_it_is_what_the_standard_library_writes_with_sorted_keys(
    mappings: list[dict[str, str]], common: dict[str, str]
) -> None:
    sorted_json = SortedJson(common=common)
    for texts in [*mappings, *mappings]:
        assert sorted_json.encode(texts) == json.dumps({**texts, **common}, sort_keys=True)


def test_names_and_values_may_look_like_places_to_fill_in() -> None:
    texts, common = {"%s": "%d", "a%": "{}"}, {"%": "%s%"}
    assert SortedJson(common=common).encode(texts) == json.dumps({**texts, **common}, sort_keys=True)
