"""`python -m toolkit`: the same as the `toolkit` program."""

from toolkit.cli import main

if __name__ == "__main__":
    main()
