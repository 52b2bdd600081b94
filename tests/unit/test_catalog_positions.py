"""Lines of keys and elements, in every way TOML can spell them."""

import pytest

from toolkit.catalog.positions import Duplicate, Path, locate

TEXT = """\
# a remark
top = 1
[a]
x = ["one",
  "two",   # a remark inside
  ["three",
   "four"],
]
"q.r" = 2
'lit'."b\\u0041" = 3
table = {x = 1, y = [
  {z = 1},
  {z = 2}]}
[a.sub.deeper]
k = 1
[[rows]]
n = 1
[rows.own]
m = 1
[[rows]]
n = 2
[[rows.inner]]
p = 1
text = \"\"\"
[not.a.header]
\"\"\"
after = 1
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("a",), 3),
        (("a", "x"), 4),
        (("a", "x", 0), 4),
        (("a", "x", 1), 5),
        (("a", "x", 2), 6),
        (("a", "x", 2, 1), 7),
        (("a", "q.r"), 9),
        (("a", "lit"), 10),
        (("a", "lit", "bA"), 10),
        (("a", "table", "y"), 11),
        (("a", "table", "y", 1, "z"), 13),
        (("a", "sub"), 14),
        (("a", "sub", "deeper", "k"), 15),
        (("rows",), 16),
        (("rows", 0, "n"), 17),
        (("rows", 0, "own", "m"), 19),
        (("rows", 1), 20),
        (("rows", 1, "n"), 21),
        (("rows", 1, "inner", 0, "p"), 23),
        (("rows", 1, "inner", 0, "after"), 27),
    ],
)
def test_a_path_has_the_line_it_is_written_on(path: Path, line: int) -> None:
    assert locate(TEXT).line(path) == line


def test_what_is_not_written_has_the_line_of_what_it_would_stand_in() -> None:
    positions = locate(TEXT)
    assert positions.line(("a", "sub", "missing", 3)) == 14
    assert positions.line(("nowhere",)) == 1


def test_a_header_counts_more_than_a_table_below_it() -> None:
    assert locate("[a.b]\nx = 1\n[a]\ny = 1\n").line(("a",)) == 3


def test_what_toml_1_1_adds_keeps_its_lines() -> None:
    positions = locate('[a]\nx = {\n y = 1,\n z = 2,\n}\nv = "\\x41"\nw = "\\e"\nu = 1\n')
    lines = [positions.line(("a", *rest)) for rest in (("x", "y"), ("x", "z"), ("v",), ("w",), ("u",))]
    assert lines == [3, 4, 6, 7, 8]


def test_duplicates_are_told_with_both_lines() -> None:
    assert locate("[a]\nx = 1\nx = [\n]\n[a]\n").duplicates == [
        Duplicate(path=("a", "x"), first=2, second=3),
        Duplicate(path=("a",), first=1, second=5),
    ]
