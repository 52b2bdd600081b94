"""What goes into a unit's build id: each input with its value and the place to look at it. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from toolkit.render import RenderedUnit, changed_inputs


@dataclass(frozen=True, kw_only=True)
class InputRow:
    """One input; `value` is a short digest where the input is a text or a file.

    `before` is its value in the image that is published in the unit's place: None when there is none,
    "" when that image lacks the input. An input that is no more has the value "".
    """

    name: str
    value: str
    origin: str
    before: str | None

    @property
    def has_changed(self) -> bool:
        return self.before is not None and self.before != self.value

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "changed": self.has_changed}


def explain(rendered: RenderedUnit, before: Mapping[str, str] | None) -> tuple[InputRow, ...]:
    """The inputs by name; `before` are those of what stands in the unit's place and differs, if any."""
    gone = changed_inputs(rendered, before) if before else ()
    inputs = rendered.inputs
    names = sorted({*inputs, *gone})
    return tuple(
        InputRow(
            name=name,
            value=inputs.get(name, ""),
            origin=origin_of(name, rendered),
            before=None if before is None else before.get(name, ""),
        )
        for name in names
    )


def origin_of(name: str, rendered: RenderedUnit) -> str:
    """Where one would look at the input or change it."""
    kind, _, path = name.partition(" ")
    origin = _ORIGINS.get(name) or _ORIGINS.get(kind, "another version of the toolkit")
    row = f"images.toml:{rendered.unit.image.line}"
    return origin.format(row=row, unit=rendered.unit, base=rendered.base, path=path)


# By the input's name, or by its first word.
_ORIGINS: Mapping[str, str] = {
    "base": "images.lock: base {unit.base.name}, {unit.architecture} ({base.reference})",
    "compression": "the toolkit: how layers are compressed",
    "created": "images.lock: when these packages were first locked",
    "dockerfile": "dockerfiles/{unit.image.template} and {row}",
    "labels": "{row}: title, version, remarks; base",
    "media-types": "{row}: consumers ({unit.consumer})",
    "platform": "{row}: architectures",
    "file requirements.txt": "images.lock: resolved from packages of {row}",
    "file drop.txt": "{row}: drop",
    "file drop.py": "dockerfiles/environment/drop.py",
    "file": "dockerfiles/serving/{path}",
    "download": "images.lock: resolved from downloads and apt of {row}",
}
