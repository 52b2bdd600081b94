"""`make data`: the tables of toolkit/data, anew from the packages that locks/ pins."""

import importlib
import importlib.util

MODULES = ("scripts.data_instances", "scripts.data_uris")


def main() -> None:
    for module in MODULES:
        if importlib.util.find_spec(module):
            importlib.import_module(module).main()


if __name__ == "__main__":
    main()
