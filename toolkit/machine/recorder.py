"""The record of set-up on the machine: read it, add to it before each change."""

from toolkit.machine import places
from toolkit.machine.record import Change, SetupRecord
from toolkit.machine.system import System


def load_record(system: System) -> SetupRecord:
    """What earlier set-ups changed; empty where none ran. Raises NeedNotMet when it cannot be read."""
    text = system.read(places.RECORD)
    return SetupRecord.parse(text) if text else SetupRecord()


def save_record(system: System, record: SetupRecord) -> None:
    # Root only: `before` of a file may hold what its owner kept from others.
    system.write(places.RECORD, record.dump(), mode=0o600)


def note(system: System, change: Change) -> None:
    """Add `change` to the record on the machine; to be called before the change is made."""
    record = load_record(system)
    if (longer := record.adding(change)) != record:
        save_record(system, longer)
