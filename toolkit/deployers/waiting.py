"""How often a service is asked while it works."""

from collections.abc import Iterator


def pauses(most: float) -> Iterator[float]:
    """Seconds: short at first, for what ends at once (traffic that moves), then `most`."""
    seconds = 1.0
    while True:
        yield min(seconds, most)
        seconds *= 1.5
