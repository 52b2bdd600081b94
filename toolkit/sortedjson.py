"""Mappings of texts → the JSON that `json.dumps(…, sort_keys=True)` makes of them.

Ten thousand units have a handful of sets of names, and most values in common. What follows from these is
spelled once: it takes a third of the time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii


@dataclass(frozen=True, kw_only=True)
class SortedJson:
    """With `common` in each of the mappings, in place of what they have of the same name."""

    common: Mapping[str, str] = field(default_factory=dict)
    _forms: dict[tuple[str, ...], tuple[str, tuple[str, ...]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def encode(self, texts: Mapping[str, str]) -> str:
        names = tuple(texts)
        form = self._forms.get(names)
        if form is None:
            form = self._forms[names] = self._form(names)
        text, places = form
        return text % tuple([encode_basestring_ascii(texts[name]) for name in places])

    def _form(self, names: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
        """The text for mappings with these names, with `%s` in the places of the second's values."""
        every = sorted({*names, *self.common})
        parts = [
            f"{_literal(name)}: {_literal(self.common[name]) if name in self.common else '%s'}"
            for name in every
        ]
        return f"{{{', '.join(parts)}}}", tuple(name for name in every if name not in self.common)


def _literal(text: str) -> str:
    return encode_basestring_ascii(text).replace("%", "%%")
