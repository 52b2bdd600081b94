"""What the last release that found nothing to do saw, and what was asked of it. Pure values and their text.

As long as what it was made from is the same byte by byte, and the registry answers the same to each HEAD, the
same release has nothing to do again. It is read before anything else is loaded, so this module and those
that read it import nothing that takes longer than the work: no dataclasses, typing, json, re or pathlib.
"""

import hashlib

_FIRST_LINE = "multiarch-images standing 1"

Answer = tuple[str, str, str, str]
"""A path at the registry and what a HEAD of it says: digest, media type, length."""


class Asked:
    """A release as it is asked for: where to, from which catalog, which images by name."""

    __slots__ = ("catalog", "patterns", "registry")

    def __init__(self, *, registry: str, catalog: str, patterns: tuple[str, ...]) -> None:
        self.registry = registry
        self.catalog = catalog
        self.patterns = patterns

    @property
    def text(self) -> str:
        return "\n".join((self.registry, self.catalog, *self.patterns))


def parse_asked(words: list[str], *, registry: str, catalog: str) -> Asked | None:
    """The words behind `toolkit release`; `registry` and `catalog` are meant where none are named.

    None for options that may change what there is to do or how it is told, and for what is no such command.
    """
    named = {"--registry": registry, "--catalog": catalog, "--jobs": "1"}
    patterns = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        option, equals, value = word.partition("=")
        if option in named and (equals or rest):
            named[option] = value if equals else rest.pop(0)
        elif word.startswith("-"):
            # Neither matters where nothing is built: a machine that is set up, a base as it is locked.
            if word not in ("--setup", "--locked"):
                return None
        else:
            patterns.append(word)
    if not (named["--jobs"].isdecimal() and int(named["--jobs"])):
        return None
    return Asked(registry=named["--registry"], catalog=named["--catalog"], patterns=tuple(patterns))


class Standing:
    """`sources` is a digest of all that it was made from, `left` one of the files in `files`, which a release
    leaves, relative to the project. `answers` are those of the registry at `host`, which is asked for the
    media types `accept`; `told` is what people were told, line by line.
    """

    __slots__ = ("accept", "answers", "files", "host", "left", "sources", "told")

    def __init__(
        self,
        *,
        sources: str,
        files: tuple[str, ...],
        left: str,
        host: str,
        accept: str,
        answers: tuple[Answer, ...],
        told: tuple[str, ...],
    ) -> None:
        self.sources = sources
        self.files = files
        self.left = left
        self.host = host
        self.accept = accept
        self.answers = answers
        self.told = told

    def dumps(self) -> str:
        """ASCII. The last line is a digest of those before it."""
        body = "\n".join(
            [
                _FIRST_LINE,
                self.sources,
                self.left,
                self.host,
                self.accept,
                *(f"file {each}" for each in self.files),
                *(f"head {' '.join(each)}" for each in self.answers),
                *(f"told {_escaped(each)}" for each in self.told),
            ]
        )
        return f"{body}\n{_seal(body)}"


def _seal(body: str) -> str:
    return hashlib.sha256(body.encode("ascii")).hexdigest()


def _escaped(line: str) -> str:
    return line.encode("unicode_escape").decode("ascii")


def loads(text: str) -> Standing | None:
    """None for what is torn, of another version, or otherwise nothing that `dumps` made."""
    body, _, seal = text.rpartition("\n")
    if not text.isascii() or seal != _seal(body) or not body.startswith(f"{_FIRST_LINE}\n"):
        return None
    _, sources, left, host, accept, *lines = body.split("\n")
    rows: dict[str, list[str]] = {"file": [], "head": [], "told": []}
    for line in lines:
        kind, _, rest = line.partition(" ")
        rows[kind].append(rest)
    answers = [(words[0], words[1], words[2], words[3]) for words in map(str.split, rows["head"])]
    return Standing(
        sources=sources,
        files=tuple(rows["file"]),
        left=left,
        host=host,
        accept=accept,
        answers=tuple(answers),
        told=tuple(line.encode("ascii").decode("unicode_escape") for line in rows["told"]),
    )
