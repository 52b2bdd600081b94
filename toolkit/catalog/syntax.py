"""Text or bytes → the values that TOML gives, or one fault that says where the TOML breaks and why."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import tomli

from toolkit.catalog.faults import quote
from toolkit.catalog.positions import Duplicate, Path, locate
from toolkit.errors import CatalogInvalid


@dataclass(frozen=True)
class Float:
    """A number with a point, kept as it is spelled: as a float, 3.10 would be 3.1."""

    spelling: str


# What tomli says, and what most often lies behind it; the first that fits.
_CAUSES = (
    ("Cannot overwrite a value", "the key has a value already: keep one of the two"),
    ("Cannot declare", "it is there already: merge the two, or rename one"),
    ("Duplicate inline table key", "keep one of the two"),
    ("Cannot mutate", "a table or array written in braces or brackets cannot grow later: write it all there"),
    ("Illegal character '\\n'", "a text does not end on its line: close its quotes"),
    ("Illegal character '\\r'", "a text does not end on its line: close its quotes"),
    ("Illegal character", "remove the character; an editor that shows control characters finds it"),
    ("Unterminated string", "a text is not closed: add the closing quotes"),
    ("Expected \"'", "a text is not closed: add the closing quotes"),
    ("Unescaped '\\'", "double the backslash, or put the text in single quotes"),
    ("Unclosed array", "a comma or the closing ] is missing here or just before"),
    ("Unclosed inline table", "a comma or the closing } is missing here or just before"),
    ("Invalid value", "the value is missing, a text lacks its quotes, or an array above lacks its ]"),
    ("Invalid initial character for a key", "a key is missing, or needs quotes"),
    ("Invalid statement", "write KEY = VALUE or [TABLE]"),
    ("Expected '='", "write KEY = VALUE"),
    ("Expected ']", "close the name of the table; a name with spaces or signs needs quotes"),
    ("Expected newline", "one KEY = VALUE to a line; a text stands in quotes, a remark after #"),
)


def read_bytes(content: bytes, *, filename: str) -> str:
    """The text of a file. Raises CatalogInvalid unless it is UTF-8."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        cause = "it looks like UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "TOML is UTF-8"
        what = f"byte 0x{content[error.start]:02x} is not UTF-8 text ({cause}): save the file as UTF-8"
        raise _broken(filename, content.count(b"\n", 0, error.start) + 1, what) from error


def read_toml(text: str, *, filename: str) -> Mapping[str, object]:
    """The values in `text`. Raises CatalogInvalid with one fault when it is not TOML.

    A byte order mark, which some editors write, is passed over.
    """
    try:
        text.encode()
        return tomli.loads(text.removeprefix("\ufeff"), parse_float=Float)
    except UnicodeEncodeError as error:
        what = f"{text[error.start]!a} is half a character: save the file as UTF-8"
        raise _broken(filename, _line_at(text, error.start), what) from error
    except tomli.TOMLDecodeError as error:
        raise _syntax_fault(text, error, filename) from error
    except RecursionError as error:
        lines = enumerate(text.split("\n"), start=1)
        line, _ = max(lines, key=lambda numbered: sum(map(numbered[1].count, "[{.")))
        raise _broken(filename, line, "too deeply nested: no catalog needs more than five levels") from error
    except ValueError as error:
        # Python converts no decimal number of more than 4,300 digits; tomli passes its ValueError on.
        digits = re.search(r"\d[\d_]{4000,}", text)
        line = _line_at(text, digits.start() if digits else 0)
        raise _broken(filename, line, "a number is too long: no catalog needs more than 18 digits") from error


def _syntax_fault(text: str, error: tomli.TOMLDecodeError, filename: str) -> CatalogInvalid:
    if error.msg.startswith(("Cannot overwrite", "Cannot declare", "Cannot mutate", "Duplicate")):
        # tomli stops behind the second value, which may be lines below its key.
        earlier = [found for found in locate(text).duplicates if found.second <= error.lineno]
        if earlier:
            return _duplicate_fault(earlier[-1], filename)
    cause = next((cause for said, cause in _CAUSES if error.msg.startswith(said)), "see https://toml.io")
    is_open = error.msg.startswith(("Unterminated", "Expected \"'''"))
    start = _start_of_text(text) if is_open else None
    return _broken(filename, start or error.lineno, f"not TOML ({error.msg[:200]}): {cause}")


def _duplicate_fault(found: Duplicate, filename: str) -> CatalogInvalid:
    where = f"{_dotted(found.path)} is on line {found.first} already"
    return _broken(filename, found.second, f"{where}: keep one of the two, or rename one")


def _start_of_text(text: str) -> int | None:
    """The line on which a text in three quotes starts that never ends; None when there is none.

    tomli names the end of the file. A text opens where what stands before it, closed there, is TOML.
    """
    for opening in sorted((text.rfind('"""'), text.rfind("'''")), reverse=True):
        if opening >= 0:
            try:
                tomli.loads(text[:opening] + "''", parse_float=Float)
            except (ValueError, RecursionError):
                continue
            return _line_at(text, opening)
    return None


def _dotted(path: Path) -> str:
    keys = [str(part) for part in path if isinstance(part, str)]
    return quote(".".join(keys))


def _line_at(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def _broken(filename: str, line: int, what: str) -> CatalogInvalid:
    return CatalogInvalid([f"{filename}:{line}: {what}"])
