"""A JSON Schema of images.toml, for editors: made by the readers themselves.

The readers are run on a table that has every key and notes what they ask it for. Where they ask for one
of several words, or whether a key is there, each other answer is tried as well, one at a time; what then
differs becomes a condition. So there is no second description of the file that could differ from the first.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from toolkit.catalog.faults import Faults
from toolkit.catalog.grammar import LINE, Grammar
from toolkit.catalog.positions import Path, Positions
from toolkit.catalog.table import COUNT_LIMIT, E, Table

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ANY_NAME = "default"
"""Stands in paths for the names that an author gives; as a group it is the one that must be there."""

Schema = dict[str, Any]
Read = Callable[[Table, Faults], object]
T = TypeVar("T")


@dataclass(frozen=True)
class _Question:
    """What a reader asked at `path`: the word of a key or, with `is_presence`, whether the key is there."""

    path: Path
    key: str
    is_presence: bool


@dataclass
class _Noted:
    """What one run asked of one table: its keys, the required ones, and how questions were answered."""

    keys: dict[str, Schema] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    answers: dict[_Question, Any] = field(default_factory=dict)
    names: Schema | None = None


@dataclass
class _Run:
    """`answers` differ from the usual ones; `others` has the answers that were not given."""

    answers: Mapping[_Question, Any]
    tables: dict[Path, _Noted] = field(default_factory=dict)
    others: dict[_Question, list[Any]] = field(default_factory=dict)

    def at(self, path: Path) -> _Noted:
        return self.tables.setdefault(path, _Noted())

    def ask(self, question: _Question, possible: Iterable[T]) -> T:
        usual, *others = possible
        answer: T = self.answers.get(question, usual)
        self.others[question] = others
        self.at(question.path).answers[question] = answer
        return answer


class _Silent(Faults):
    def add(self, path: Path, message: str) -> None:
        """Examples are no catalog: what is wrong with them is of no interest."""


class _Recorder(Table):
    """A table that has whatever it is asked for."""

    def __init__(self, run: _Run, path: Path, faults: Faults) -> None:
        super().__init__({}, path=path, subject="", faults=faults)
        self._run = run
        self._noted = run.at(path)

    def __contains__(self, key: str) -> bool:
        question = _Question(self.path, key, is_presence=True)
        return self._run.ask(question, (True, False))

    def __iter__(self) -> Iterator[str]:
        return iter((ANY_NAME,))

    def about(self, subject: str) -> Table:
        return self

    def text(self, key: str, grammar: Grammar = LINE, *, default: str | None = None) -> str:
        self._note(key, text_schema(grammar), required=default is None)
        # An example like HOST/NAME:TAG is for people.
        return grammar.example if grammar.accepts(grammar.example) else ""

    def elements(self, key: str, grammar: Grammar, *, word: str, required: bool) -> dict[str, Path]:
        self._note(key, _array(text_schema(grammar)), required=required)
        return {grammar.example: (*self.path, key, 0)}

    def choice(self, key: str, kind: type[E], *, required: bool = True) -> E | None:
        self._note(key, _words(kind), required=required)
        return self._run.ask(_Question(self.path, key, is_presence=False), tuple(kind))

    def choices(self, key: str, kind: type[E], *, word: str) -> tuple[E, ...]:
        self._note(key, _array(_words(kind)), required=True)
        return tuple(kind)

    def count(self, key: str, *, default: int) -> int:
        self._note(key, {"type": "integer", "minimum": 1, "maximum": COUNT_LIMIT}, required=False)
        return default

    def table(self, key: str, *, example: str | None = None) -> Table:
        self._note(key, {}, required=example is not None)
        return self._below(key)

    def optional_table(self, key: str, *, example: str) -> Table | None:
        return self.table(key)

    def tables(self, kind: str, grammar: Grammar) -> Iterator[tuple[str, Table]]:
        self._noted.names = text_schema(grammar)
        self._note(ANY_NAME, {}, required=False)
        yield grammar.example, self._below(ANY_NAME)

    def rows(self, key: str) -> tuple[Table, ...]:
        self._note(key, {"type": "array", "minItems": 1, "items": {}}, required=False)
        return (self._below(key),)

    def close(self) -> set[str]:
        return set()

    def _below(self, key: str) -> "_Recorder":
        return _Recorder(self._run, (*self.path, key), self._faults)

    def _note(self, key: str, schema: Schema, *, required: bool) -> None:
        self._noted.keys[key] = schema
        if required:
            self._noted.required.add(key)


def json_schema(read: Read) -> Schema:
    """The schema of the file whose top table `read` reads."""
    runs = list(_explore(read))
    described = {
        "$schema": DIALECT,
        "title": "images.toml",
        "description": "The catalog of multiarch-images: which images are wanted, from what, and for whom.",
    }
    return {**described, **_table_schema((), runs)}


def _explore(read: Read) -> Iterator[_Run]:
    """The usual answers, and every other one for itself."""
    waiting: list[dict[_Question, Any]] = [{}]
    tried: set[_Question] = set()
    while waiting:
        run = _Run(answers=waiting.pop())
        faults = _Silent(filename="", positions=Positions())
        read(_Recorder(run, (), faults), faults)
        for question, others in run.others.items():
            if question not in tried:
                tried.add(question)
                waiting += [{**run.answers, question: other} for other in others]
        yield run


def _table_schema(path: Path, runs: Iterable[_Run]) -> Schema:
    runs = [run for run in runs if path in run.tables]
    variants = [run.tables[path] for run in runs]
    keys = list(dict.fromkeys(key for each in variants for key in each.keys))
    required = set.intersection(*(each.required for each in variants))
    schema: Schema = {"type": "object"}
    general = {key: _value_schema(path, key, variants, runs) for key in keys if key != ANY_NAME}
    if general:
        schema["properties"] = general
    if ANY_NAME in keys:
        schema["additionalProperties"] = _value_schema(path, ANY_NAME, variants, runs)
        if names := next((each.names for each in variants if each.names), None):
            schema["propertyNames"] = names
    else:
        schema["additionalProperties"] = False
    if required:
        schema["required"] = [key for key in keys if key in required]
    if conditions := list(_conditions(variants, general)):
        schema["allOf"] = conditions
    return schema


def _value_schema(path: Path, key: str, variants: Iterable[_Noted], runs: Iterable[_Run]) -> Schema:
    """What is said of a key whatever the other keys are."""
    found = [each.keys[key] for each in variants if key in each.keys]
    first = found[0]
    if first == {}:
        return _table_schema((*path, key), runs)
    if first.get("items") == {}:
        return {**first, "items": _table_schema((*path, key), runs)}
    return {name: value for name, value in first.items() if all(each.get(name) == value for each in found)}


def _conditions(variants: list[_Noted], general: Mapping[str, Schema]) -> Iterator[Schema]:
    """What else holds when a question has one of its answers."""
    for question in dict.fromkeys(question for each in variants for question in each.answers):
        group = _by_answer(question, variants)
        common = set.intersection(set(general), *(each.required for each in group.values()))
        for answer in sorted(group, key=str):
            noted = group[answer]
            consequence: Schema = {}
            if missing := [key for key in general if key in noted.required - common]:
                consequence["required"] = missing
            special = {
                key: noted.keys.get(key, False)
                for key in general
                if any(each.keys.get(key) != noted.keys.get(key) for each in group.values())
                and noted.keys.get(key, False) not in ({}, general[key])
            }
            if special and not question.is_presence:
                consequence["properties"] = special
            if consequence:
                yield {"if": _if(question, answer), "then": consequence}


def _by_answer(question: _Question, variants: list[_Noted]) -> dict[Any, _Noted]:
    """The variants in which all other questions have their usual answers."""
    usual = variants[0].answers
    return {
        each.answers[question]: each
        for each in variants
        if question in each.answers
        and all(
            each.answers.get(other, answer) == answer for other, answer in usual.items() if other != question
        )
    }


def _if(question: _Question, answer: object) -> Schema:
    if not question.is_presence:
        return {"properties": {question.key: {"const": str(answer)}}, "required": [question.key]}
    there: Schema = {"required": [question.key]}
    return there if answer else {"not": there}


def text_schema(grammar: Grammar) -> Schema:
    schema: Schema = {"type": "string", "minLength": 1, "maxLength": grammar.maximum}
    if grammar is not LINE:
        schema["description"] = f"{grammar.what[:1].upper()}{grammar.what[1:]}"
        if grammar.accepts(grammar.example):
            schema["examples"] = [grammar.example]
    matcher = getattr(grammar.matches, "__self__", None)
    if isinstance(matcher, re.Pattern):
        schema["pattern"] = f"^(?:{matcher.pattern})$"
    return schema


def _array(items: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "uniqueItems": True, "items": items}


def _words(kind: type[E]) -> Schema:
    return {"description": (kind.__doc__ or "").splitlines()[0], "enum": [member.value for member in kind]}
