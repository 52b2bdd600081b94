"""The line on which each key and array element of a TOML text stands.

tomli gives values without positions, so tree-sitter reads the same text once more for the lines.
Its grammar is TOML 1.0, tomli's 1.1. Line breaks in inline tables come back inside ERROR nodes, which
are therefore looked into like any other; the escapes `\\e` and `\\xHH` are hidden from it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import tomli
import tree_sitter_toml
from tree_sitter import Language, Node, Parser

Path = tuple[str | int, ...]
"""Keys and array indexes from the top: ("images", "pytorch-inference", "architectures", 1)."""

MAX_DEPTH = 10
"""The catalog's shape is five deep; below this nothing is looked up, so nothing is recorded."""

_LANGUAGE = Language(tree_sitter_toml.language())
_NEW_ESCAPE = re.compile(rb"\\(?:\\|[ex])")
_KEYS = frozenset({"bare_key", "quoted_key", "dotted_key"})
_TABLES = frozenset({"table", "table_array_element"})


@dataclass(frozen=True, kw_only=True)
class Duplicate:
    """A key or table header that the text has twice; both lines count from 1."""

    path: Path
    first: int
    second: int


@dataclass(kw_only=True)
class Positions:
    """Filled by `locate`. Lines count from 1."""

    duplicates: list[Duplicate] = field(default_factory=list)
    _written: dict[Path, int] = field(default_factory=dict)
    _implied: dict[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """The line of `path` or, where the text does not spell it, of what it would stand in."""
        while path:
            if line := self._written.get(path) or self._implied.get(path):
                return line
            path = path[:-1]
        return 1

    def write(self, path: Path, line: int) -> None:
        """`path` is spelled out in full on `line`."""
        first = self._written.get(path)
        if first is None:
            self._written[path] = line
        else:
            self.duplicates.append(Duplicate(path=path, first=first, second=line))

    def imply(self, path: Path, line: int) -> None:
        """`path` comes into being on `line`, as `a` does by `[a.b]`."""
        self._implied.setdefault(path, line)


def locate(text: str) -> Positions:
    """The positions in `text`, TOML or nearly so."""
    return _Walk(text.encode()).positions


class _Walk:
    """One pass over the syntax tree."""

    def __init__(self, source: bytes) -> None:
        self.positions = Positions()
        self._source = source
        self._elements: dict[Path, int] = {}  # how many [[path]] there were so far
        prefix: Path = ()
        for node in Parser(_LANGUAGE).parse(_as_toml_1_0(source)).root_node.children:
            if node.type in _TABLES:
                prefix = self._table(node)
            else:
                self._statements((node,), prefix)

    def _table(self, node: Node) -> Path:
        keys = next((child for child in node.children if child.type in _KEYS), None)
        if keys is None:
            return ()
        line = _line(node)
        parts = self._parts(keys)
        parent: Path = ()
        for part in parts[:-1]:
            parent = self._latest((*parent, part))
            self.positions.imply(parent, line)
        path: Path = (*parent, parts[-1])
        if node.type == "table_array_element":
            self.positions.imply(path, line)
            self._elements[path] = self._elements.get(path, 0) + 1
            path = self._latest(path)
        self.positions.write(path, line)
        self._statements((child for child in node.children if child != keys), path)
        return path

    def _latest(self, path: Path) -> Path:
        """`[a.b]` after `[[a]]` is about the last element of a."""
        count = self._elements.get(path)
        return path if count is None else (*path, count - 1)

    def _statements(self, nodes: Iterable[Node], prefix: Path) -> None:
        for node in nodes:
            if node.type == "pair":
                self._pair(node, prefix)
            elif node.type == "ERROR":
                first = node.children[0] if node.children else node
                if first.type in _KEYS:
                    self.positions.imply((*prefix, *self._parts(first)), _line(first))
                self._statements(node.children, prefix)

    def _pair(self, node: Node, prefix: Path) -> None:
        keys, value = node.children[0], node.children[-1]
        if keys.type not in _KEYS:
            return
        line = _line(node)
        path = prefix
        for part in self._parts(keys):
            self.positions.imply(path, line)
            path = (*path, part)
        self.positions.write(path, line)
        self._value(value, path)

    def _value(self, node: Node, path: Path) -> None:
        if len(path) >= MAX_DEPTH:
            return
        if node.type == "inline_table":
            self._statements(node.children, path)
        elif node.type == "array":
            elements = (child for child in node.children if child.is_named and child.type not in _NOT_VALUES)
            for index, element in enumerate(elements):
                self.positions.write((*path, index), _line(element))
                self._value(element, (*path, index))

    def _parts(self, node: Node) -> tuple[str, ...]:
        parts = []
        while node.type == "dotted_key" and len(node.children) == 3:
            node, _, last = node.children
            parts.append(self._spelled(last))
        parts.append(self._spelled(node))
        return tuple(reversed(parts))[:MAX_DEPTH]

    def _spelled(self, node: Node) -> str:
        text = self._source[node.start_byte : node.end_byte].decode()
        if node.type == "bare_key":
            return text
        try:
            return str(next(iter(tomli.loads(f"{text} = 0"))))
        except tomli.TOMLDecodeError:
            return text


_NOT_VALUES = frozenset({"comment", "ERROR"})


def _as_toml_1_0(source: bytes) -> bytes:
    """The same lines and columns with old escapes in place of new ones."""
    return _NEW_ESCAPE.sub(lambda found: found[0] if found[0] == b"\\\\" else b"\\t", source)


def _line(node: Node) -> int:
    return node.start_point.row + 1
