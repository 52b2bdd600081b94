"""What differs, for people: in columns or as Markdown."""

import re
from collections.abc import Iterable, Iterator, Sequence

from toolkit.comparison import ImageChange, PackageChange, ReleaseChange
from toolkit.quantities import human_size
from toolkit.tables.text import cell

Row = tuple[str, ...]


def release_text(change: ReleaseChange) -> str:
    lines = [f"{change.before} → {change.after}"]
    lines += [f"added    {each.identifier}  {human_size(each.size)}" for each in change.added]
    lines += [f"gone     {each.identifier}  {human_size(each.size)}" for each in change.gone]
    for each in change.changed:
        origins = (_shortened(row) for row in _origins(each))
        lines += [f"changed  {each.before}", *_columns(_sizes(each), origins, _packages(each.packages))]
    return "\n".join([*lines, _sum(change)])


def release_md(change: ReleaseChange) -> str:
    lines = [f"# {change.before} → {change.after}", "", f"{_sum(change)[0].upper()}{_sum(change)[1:]}."]
    listed = [("added", each) for each in change.added] + [("gone", each) for each in change.gone]
    if listed:
        rows = [(what, each.identifier, human_size(each.size), f"`{each.digest}`") for what, each in listed]
        lines += ["", *_table(("", "identifier", "size", "digest"), rows)]
    for each in change.changed:
        lines += ["", f"## {each.before}", "", *_change_md(each, ("before", "after"), _origins(each))]
    return "\n".join(lines)


def image_text(change: ImageChange) -> list[str]:
    """Lines: what differs from one image to another, without their names."""
    return list(_columns(_sizes(change), _packages(change.packages)))


def parity_text(changes: Sequence[ImageChange]) -> str:
    """One block per image id; `before` is amd64's image, `after` arm64's."""
    blocks = []
    for each in changes:
        head = [("", "", "amd64", "", "arm64")]
        blocks.append("\n".join([_image_id(each), *_columns(head, _sizes(each), _packages(each.packages))]))
    return "\n\n".join(blocks)


def parity_md(changes: Sequence[ImageChange]) -> str:
    blocks = ([f"## {_image_id(each)}", "", *_change_md(each, ("amd64", "arm64"), ())] for each in changes)
    return "\n\n".join("\n".join(block) for block in blocks)


def _image_id(change: ImageChange) -> str:
    return change.before.removesuffix("-amd64")


def _sum(change: ReleaseChange) -> str:
    counts = (("added", change.added), ("changed", change.changed), ("gone", change.gone))
    return ", ".join([*(f"{len(found)} {what}" for what, found in counts), f"{change.same} as before"])


def _sizes(change: ImageChange) -> Iterator[Row]:
    """Rows are (what, name, before, arrow, after)."""
    sizes = (("size", change.size), ("unpacked", change.unpacked_size))
    yield from (_row(what, "", *map(human_size, both)) for what, both in sizes)


def _origins(change: ImageChange) -> Iterator[Row]:
    """What tells one image from another: of no meaning between two architectures, where all of it differs."""
    yield _row("digest", "", *change.digest)
    if len(set(change.base)) > 1:
        yield _row("base", "", *change.base)


def _shortened(row: Row) -> Row:
    """Digests as people compare them: their first twelve digits."""
    return tuple(re.sub(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}", r"\1", each) for each in row)


def _packages(changes: Iterable[PackageChange]) -> Iterator[Row]:
    for each in changes:
        yield _row(each.kind, each.name, each.before or "-", each.after or "-")


def _row(what: str, name: str, before: str, after: str) -> Row:
    return (what, name, before, "=" if before == after else "→", after)


def _columns(*groups: Iterable[Row]) -> Iterator[str]:
    """Aligned."""
    rows = [row for group in groups for row in group]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    for row in rows:
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
        yield "  " + "  ".join([*cells, row[4]]).rstrip()


def _change_md(change: ImageChange, names: tuple[str, str], origins: Iterable[Row]) -> list[str]:
    rows = [*_sizes(change), *origins, *_packages(change.packages)]
    return _table(("", "name", *names), [(row[0], row[1], row[2], row[4]) for row in rows])


def _table(head: Row, rows: Iterable[Row]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return lines + ["| " + " | ".join(cell(text) for text in row) + " |" for row in rows]
