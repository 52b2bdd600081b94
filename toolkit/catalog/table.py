"""Reading a TOML table key by key, noting every fault instead of stopping at the first."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, time
from enum import StrEnum
from typing import TypeVar

from toolkit.catalog.faults import Faults, escape, nearest, quote
from toolkit.catalog.grammar import LINE, Grammar
from toolkit.catalog.positions import Path
from toolkit.catalog.syntax import Float
from toolkit.oci import Architecture

E = TypeVar("E", bound=StrEnum)

COUNT_LIMIT = 999_999

# What people write for a word of ours.
_ALIASES = {architecture.uname: architecture.value for architecture in Architecture} | {
    "x64": "amd64",
    "x86": "amd64",
    "graviton": "arm64",
    "gpu": "cuda",
    "inferentia": "neuron",
    "inferentia2": "neuronx",
    "trainium": "neuronx",
    "kubernetes": "eks",
    "k8s": "eks",
    "pip": "index",
    "pypi": "index",
    "deb": "apt",
    "bucket": "objects",
    "http": "objects",
    "s3": "objects",
    "tar": "archive",
    "whl": "wheel",
    "supported": "current",
    "deprecated": "legacy",
    "unsupported": "legacy",
    "dead": "ended",
    "eol": "ended",
}


class Table:
    """One table of the file; `subject` begins each message, as `image "pytorch-inference": `.

    A reader takes each key it knows and then calls `close`, which faults the keys that nobody took
    and the required ones that are not there. A faulty value is read as an empty one.
    """

    def __init__(
        self, values: Mapping[str, object], *, path: Path, subject: str, faults: Faults, label: str = ""
    ) -> None:
        self.path = path
        self.subject = subject
        self._values = values
        self._label = label
        self._faults = faults
        self._known: set[str] = set()
        self._required: dict[str, str] = {}  # with an example of the value, as TOML

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def get(self, key: str) -> object | None:
        """The value as it stands there, unjudged."""
        return self._values.get(key)

    def about(self, subject: str) -> "Table":
        """The same table with other words at the beginning of its messages."""
        return Table(self._values, path=self.path, subject=subject, faults=self._faults, label=self._label)

    def at(self, *parts: str | int) -> Path:
        return (*self.path, *parts)

    def label(self, key: str) -> str:
        """The key as people write it: `packages.arm64`."""
        return escape(self._dotted(key))

    def line(self, path: Path) -> int:
        return self._faults.line(path)

    def fault(self, path: Path, message: str) -> None:
        self._faults.add(path, f"{self.subject}{message}")

    def text(self, key: str, grammar: Grammar = LINE, *, default: str | None = None) -> str:
        """One text; without a default the key is required."""
        value = self._take(key, example=quote(grammar.example) if default is None else None)
        if value is None:
            return default or ""
        return self._text(value, self.at(key), self.label(key), grammar)

    def texts(
        self, key: str, grammar: Grammar = LINE, *, word: str, required: bool = True
    ) -> tuple[str, ...]:
        """An array of texts, none of them twice; `word` is what one of them is called."""
        return tuple(self.elements(key, grammar, word=word, required=required))

    def elements(self, key: str, grammar: Grammar, *, word: str, required: bool) -> dict[str, Path]:
        """Like `texts`, with where each text stands."""
        value = self._take(key, example=f"[{quote(grammar.example)}]" if required else None)
        if value is None:
            return {}
        path = self.at(key)
        if not isinstance(value, list):
            mend = f". Write [{quote(value)}]" if isinstance(value, str) else ""
            self.fault(path, f"{self.label(key)} must be an array of texts, found {_found(value)}{mend}")
            return {}
        if not value:
            mend = "" if required else ", or remove the key"
            self.fault(path, f"{self.label(key)} is empty: name at least one {word}{mend}")
        elements: dict[str, Path] = {}
        for index, element in enumerate(value):
            text = self._text(element, (*path, index), word, grammar)
            if text in elements:
                line = self.line(elements[text])
                self.fault(
                    (*path, index), f"{word} {quote(text)} is on line {line} already: remove one of the two"
                )
            elif text:
                elements[text] = (*path, index)
        return elements

    def choice(self, key: str, kind: type[E], *, required: bool = True) -> E | None:
        """One member of `kind`."""
        value = self._take(key, example=quote(next(iter(kind))) if required else None)
        if value is None:
            return None
        text = self._text(value, self.at(key), self.label(key), LINE)
        return self._member(text, kind, self.at(key), self.label(key)) if text else None

    def choices(self, key: str, kind: type[E], *, word: str) -> tuple[E, ...]:
        """An array of members of `kind`, in the order written."""
        one = replace(LINE, example=next(iter(kind)))
        elements = self.elements(key, one, word=word, required=True)
        members = (self._member(text, kind, path, word) for text, path in elements.items())
        return tuple(member for member in members if member is not None)

    def count(self, key: str, *, default: int) -> int:
        """A whole number from 1 on."""
        value = self._take(key)
        if value is None:
            return default
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= COUNT_LIMIT:
            return value
        self.fault(
            self.at(key),
            f"{self.label(key)} must be a whole number from 1 to {COUNT_LIMIT}, found {_found(value)}",
        )
        return default

    def table(self, key: str, *, example: str | None = None) -> "Table":
        """A table below this one, an empty one when it is not there; with an example it is required."""
        value = self._take(key, example=example)
        path = self.at(key)
        if value is not None and not isinstance(value, dict):
            self.fault(path, f"{self.label(key)} must be a table, found {_found(value)}")
        values = value if isinstance(value, dict) else {}
        return Table(values, path=path, subject=self.subject, faults=self._faults, label=self._dotted(key))

    def optional_table(self, key: str, *, example: str) -> "Table | None":
        """A table below this one; None when it is not there or, which is noted, no table."""
        value = self._take(key)
        if isinstance(value, dict):
            return self.table(key)
        if value is not None:
            mend = f". Write {key} = {example}"
            self.fault(self.at(key), f"{self.label(key)} must be a table, found {_found(value)}{mend}")
        return None

    def tables(self, kind: str, grammar: Grammar) -> Iterator[tuple[str, "Table"]]:
        """The named tables in this one, for each of which messages begin with `KIND "NAME": `."""
        for name, value in self._values.items():
            self._known.add(name)
            if problem := grammar.problem(name):
                self.fault(self.at(name), f"{kind} name {quote(name)} {problem}")
            subject = f"{kind} {quote(name)}: "
            if isinstance(value, dict):
                yield name, Table(value, path=self.at(name), subject=subject, faults=self._faults)
            else:
                self.fault(self.at(name), f"{kind} {quote(name)} must be a table, found {_found(value)}")

    def rows(self, key: str) -> tuple["Table", ...]:
        """An array of tables, `key = [{…}, {…}]`; none when the key is not there."""
        value = self._take(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            mend = ". Write it in brackets: [{…}]" if isinstance(value, dict) else ""
            self.fault(
                self.at(key), f"{self.label(key)} must be an array of tables, found {_found(value)}{mend}"
            )
            return ()
        rows = []
        for index, row in enumerate(value):
            path = self.at(key, index)
            if isinstance(row, dict):
                subject = f"{self.subject}{self.label(key)}: "
                rows.append(Table(row, path=path, subject=subject, faults=self._faults))
            else:
                self.fault(path, f"{self.label(key)} must hold tables, found {_found(row)}")
        if not value:
            self.fault(self.at(key), f"{self.label(key)} is empty: write a row, or remove the key")
        return tuple(rows)

    def fault_unbuilt(self, architectures: Collection[Architecture]) -> None:
        """A key for an architecture that the image is not built for does nothing: a slip."""
        for architecture in Architecture:
            if architecture in self and architectures and architecture not in architectures:
                self.fault(
                    self.at(architecture),
                    f"{self.label(architecture)} does nothing: {quote(architecture)} is not in architectures",
                )

    def close(self) -> set[str]:
        """Note the keys nobody asked for and the required ones that are not there.

        A misspelt key is one fault, not two: a missing key whose misspelling stands there is not told.
        Returns the keys that were misspelt.
        """
        missing = self._known - self._values.keys()
        meant: set[str] = set()
        for key in [key for key in self._values if key not in self._known]:
            near = nearest(key, missing) or nearest(key, self._known) or _alias(key, self._known)
            if near:
                meant.add(near)
                mend = f". Did you mean {quote(self._dotted(near))}?"
            else:
                mend = f". Known are {', '.join(sorted(self._known))}"
            self.fault(self.at(key), f"unknown key {quote(self._dotted(key))}{mend}")
        for key, example in self._required.items():
            if key in missing and key not in meant:
                self.fault(self.path, f"{self.label(key)} is missing: add {key} = {example}")
        return meant

    def _dotted(self, key: str) -> str:
        return f"{self._label}.{key}" if self._label else key

    def _take(self, key: str, *, example: str | None = None) -> object | None:
        """The value; a key with an example of one is required."""
        self._known.add(key)
        if example is not None:
            self._required[key] = example
        return self._values.get(key)

    def _text(self, value: object, path: Path, label: str, grammar: Grammar) -> str:
        if not isinstance(value, str):
            mend = f". Write it in quotes: {quote(bare)}" if (bare := _spelling(value)) else ""
            self.fault(path, f"{label} must be a text, found {_found(value)}{mend}")
            return ""
        if problem := grammar.problem(value):
            self.fault(path, f"{label} {quote(value)} {problem}")
            return ""
        return value

    def _member(self, text: str, kind: type[E], path: Path, label: str) -> E | None:
        known = [member.value for member in kind]
        if text in known:
            return kind(text)
        near = _alias(text, known) or nearest(text, known)
        mend = f". Did you mean {quote(near)}?" if near else ""
        self.fault(path, f"{label} {quote(text)} is not one of {', '.join(known)}{mend}")
        return None


def _alias(text: str, known: Collection[str]) -> str | None:
    alias = _ALIASES.get(text.lower())
    return alias if alias in known else None


def _spelling(value: object) -> str | None:
    """A number or date as it would be spelled in quotes; None for what no quotes would mend."""
    match value:
        case bool():
            return None
        case Float(spelling=spelling):
            return spelling
        case int() if value.bit_length() < 64:
            return str(value)
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            return None


def _found(value: object) -> str:
    match value:
        case bool():
            return f"the truth value {str(value).lower()}"
        case str():
            return f"the text {quote(value)}"
        case int() | Float():
            spelling = _spelling(value)
            return f"the number {escape(spelling)}" if spelling else "a number of many digits"
        case datetime() | date():
            return f"the date {value.isoformat()}"
        case time():
            return f"the time {value.isoformat()}"
        case list():
            return "an array"
        case dict():
            return "a table"
        case _:
            return "something else"
