"""Does it answer? Several places at once, with one end to the waiting."""

import threading
import time
from collections.abc import Callable, Collection

from toolkit.errors import ToolkitError
from toolkit.reach import Place


def ask_all(places: Collection[Place], ask: Callable[[Place], None], *, within: float) -> dict[Place, str]:
    """Why places cannot be reached, for those that cannot; `ask` raises a ToolkitError then.

    What has not answered after `within` seconds is left behind: a name that does not resolve can take
    longer than anybody wants to wait for a plan.
    """
    reasons: dict[Place, str] = {}

    def one(place: Place) -> None:
        try:
            ask(place)
        except ToolkitError as error:
            answered[place] = error.message
        else:
            answered[place] = ""

    answered: dict[Place, str] = {}
    threads = {place: threading.Thread(target=one, args=(place,), daemon=True) for place in places}
    for thread in threads.values():
        thread.start()
    end = time.monotonic() + within
    for place, thread in threads.items():
        thread.join(max(end - time.monotonic(), 0))
        reason = answered.get(place, f"{place.host} does not answer within {within:g} s")
        if reason:
            reasons[place] = reason
    return reasons
