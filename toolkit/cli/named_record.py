"""The release that a question is answered from, if there is one.

Apart from toolkit.cli.records, whose imports cost more than the answer where there is no release.
"""

from toolkit.cli.settings import Settings
from toolkit.record import ReleaseRecord


def get_named_record(settings: Settings, record: str) -> ReleaseRecord:
    """As `get_record` of toolkit.cli.records."""
    from toolkit.cli.records import get_record

    return get_record(settings, record)


def lookup_named_record(settings: Settings, record: str) -> ReleaseRecord | None:
    """The record that is named or, when there is one, the newest here. Raises what `get_record` raises."""
    if not record and not (settings.dist / "release.json").is_file():
        return None
    return get_named_record(settings, record)
