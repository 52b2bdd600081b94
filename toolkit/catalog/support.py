"""`support` of an image and `end_of_life` of a base: how long somebody looks after them, and who says so."""

from datetime import date

from toolkit.catalog import places
from toolkit.catalog.model import EndOfLife, State, Support
from toolkit.catalog.table import Table


def read_support(table: Table) -> Support | None:
    """What the row says of itself; why it is past its end must be said, when it is not must not."""
    support = table.optional_table(
        "support", example='{ state = "legacy", date = "2026-08-31", source = "https://…", reason = "…" }'
    )
    if support is None:
        return None
    state = support.choice("state", State)
    day = _read_day(support)
    source = support.text("source", places.PAGE_URL)
    reason = support.text("reason", default="" if state in (State.CURRENT, None) else None)
    support.close()
    if state is None or day is None:
        return None
    return Support(state=state, date=day, source=source, reasons=(reason,) if reason else ())


def read_end_of_life(table: Table) -> EndOfLife | None:
    end = table.optional_table("end_of_life", example='{ date = "2026-08-31", source = "https://…" }')
    if end is None:
        return None
    day = _read_day(end)
    source = end.text("source", places.PAGE_URL)
    end.close()
    return EndOfLife(date=day, source=source) if day else None


def _read_day(table: Table) -> date | None:
    text = table.text("date", places.DATE)
    return places.last_day(text) if text else None
