"""`python -m toolkit`: the same as the `toolkit` program."""

from toolkit.entry import main

if __name__ == "__main__":
    main()
