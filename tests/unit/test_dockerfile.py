"""The parser by which tests see that no value becomes an instruction."""

import pytest

from tests.dockerfile import Instruction, instructions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "# syntax=evil\n# a comment\nFROM base AS x\nRUN a && \\\n# inside\n\n  b; c\n\ncmd run",
            [
                Instruction("# syntax", ("evil",)),
                Instruction("FROM", ("base", "AS", "x")),
                Instruction("RUN", ("a", "&&", "b", ";", "c")),
                Instruction("CMD", ("run",)),
            ],
        ),
        ("# Escape = `\nRUN a `\n b\nRUN c \\d\nUSER e", [
            Instruction("# escape", ("`",)), Instruction("RUN", ("a", "b")),
            Instruction("RUN", ("c", "d")), Instruction("USER", ("e",)),
        ]),
        ("FROM x\n# syntax=late", [Instruction("FROM", ("x",))]),
        (
            "RUN <<EOF cat\nRUN id\nEOF\nCOPY <<-'A' <<B /x\n1\n\tA\n2\nB\nUSER x",
            [
                Instruction("RUN", ("<<", "EOF", "cat"), ("RUN id",)),
                Instruction("COPY", ("<<", "-A", "<<", "B", "/x"), ("1", "2")),
                Instruction("USER", ("x",)),
            ],
        ),
        ("ENV A='x y' B=\"$z\"", [Instruction("ENV", ("A=x y", "B=$z"))]),
        ("FROM x\rRUN id\r\nUSER y", [
            Instruction("FROM", ("x",)), Instruction("RUN", ("id",)), Instruction("USER", ("y",)),
        ]),
        ("RUN a \\", [Instruction("RUN", ("a",))]),
        ("", []),
    ],
    ids=["directives and words", "another escape", "no directive further down", "here-documents", "quotes",
         "line breaks", "open end", "nothing"],
)  # fmt: skip
def test_it_sees_what_buildkit_would(text: str, expected: list[Instruction]) -> None:
    assert list(instructions(text)) == expected


def test_a_quote_that_is_not_closed_is_no_dockerfile() -> None:
    with pytest.raises(ValueError, match="closing"):
        instructions("RUN 'a")
