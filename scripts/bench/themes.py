"""The rows of `make bench`, theme by theme, in the order of the table."""

from scripts.bench import asking, bare, bases, builds, pushes, releases, scale, verification
from scripts.bench.rows import Row

ROWS: tuple[Row, ...] = (
    *releases.ROWS,
    *builds.ROWS,
    *pushes.ROWS,
    *verification.ROWS,
    *bases.ROWS,
    *scale.ROWS,
    *asking.ROWS,
    *bare.ROWS,
)
