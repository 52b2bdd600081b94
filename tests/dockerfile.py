"""A Dockerfile as BuildKit takes it apart: directives, comments, continued lines, here-documents, words.

https://docs.docker.com/reference/dockerfile/#format
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.*?)\s*")
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\1")
_TAKE_HEREDOCS = ("RUN", "COPY", "ADD")


@dataclass(frozen=True)
class Instruction:
    """`name` in capitals, or `# name` for a directive; its shell words; the texts of its here-documents."""

    name: str
    words: tuple[str, ...]
    documents: tuple[str, ...] = ()


def instructions(text: str) -> tuple[Instruction, ...]:
    """Raises ValueError for a quote that is not closed."""
    lines = re.split(r"\r\n|\r|\n", text)
    found = []
    escape = "\\"
    while lines and (directive := _DIRECTIVE.fullmatch(lines[0])):
        name, value = directive[1].lower(), directive[2]
        escape = value if name == "escape" else escape
        found.append(Instruction(f"# {name}", (value,)))
        del lines[0]
    rest = iter(lines)
    pending = ""
    for line in rest:
        if line.lstrip().startswith("#") or (pending and not line.strip()):
            continue  # as BuildKit has it, also between the lines of one instruction
        pending += line
        if pending.rstrip().endswith(escape):
            pending = pending.rstrip()[: -len(escape)]
        elif pending.strip():
            found.append(_instruction(pending.strip(), rest))
            pending = ""
    if pending.strip():
        found.append(_instruction(pending.strip(), rest))
    return tuple(found)


def shape(text: str) -> tuple[tuple[str, int, int], ...]:
    """What no value may change: which instructions, how many words and here-documents each has."""
    return tuple((each.name, len(each.words), len(each.documents)) for each in instructions(text))


def _instruction(line: str, rest: Iterator[str]) -> Instruction:
    name, _, arguments = line.partition(" ")
    lexer = shlex.shlex(arguments, posix=True, punctuation_chars=True)
    lexer.commenters = ""
    lexer.whitespace_split = True
    documents: tuple[str, ...] = ()
    if name.upper() in _TAKE_HEREDOCS:
        documents = tuple(_document(end[2], rest) for end in _HEREDOC.finditer(arguments))
    return Instruction(name.upper(), tuple(lexer), documents)


def _document(end: str, rest: Iterator[str]) -> str:
    lines = []
    for line in rest:
        if line.lstrip("\t") == end:
            break
        lines.append(line)
    return "\n".join(lines)
