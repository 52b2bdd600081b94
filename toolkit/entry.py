"""The program `toolkit`: in front of its commands, a release that has nothing to do.

When the last such release found everything published, and what it was made from and what the registry answers
are still the same, that is all there is to say, and it is said before a command or a catalog is loaded.
Any doubt, and everything else, goes to toolkit.cli.
"""

import os
import sys


def main() -> None:
    try:
        if sys.argv[1:2] == ["release"] and _has_nothing_to_do(sys.argv[2:]):
            os._exit(0)  # nothing is left to be taken down
    except KeyboardInterrupt:
        os.write(2, b"interrupted: lists that were not complete have not been touched\n")
        os._exit(130)
    from toolkit.cli import main as commands

    commands()


def _has_nothing_to_do(words: list[str]) -> bool:
    """Tells what is to be told when it is so."""
    from toolkit.adapters.standing import digest_of_files, look_at_sources, lookup_standing
    from toolkit.standing import parse_asked

    asked = parse_asked(words, registry=os.environ.get("REGISTRY") or "localhost:5000", catalog="images.toml")
    if asked is None or not sys.stderr:
        return False
    try:
        catalog = os.path.realpath(asked.catalog)
        standing = lookup_standing(asked, catalog)
        if standing is None:
            return False
        from toolkit.adapters.heads import Heads

        # While the registry looks, this looks at what the release is made from.
        heads = Heads(standing.host, standing.accept, standing.answers)
        try:
            if (
                standing.sources != look_at_sources(catalog, os.environ).digest
                or standing.left != digest_of_files(os.path.dirname(catalog), standing.files)
                or not heads.are_as_wanted()
            ):
                return False
        finally:
            heads.close()
        sys.stderr.write("".join(f"{line}\n" for line in standing.told))
        sys.stderr.flush()
    except (OSError, ValueError, RecursionError):
        return False
    return True
