"""The machine that builds: what it has, what it needs, what set-up changes and takes back.

Pure: facts in, rows and steps out; the two modules that act (`setup`, `undo`) are handed a `System`.
Looking is done by `toolkit.adapters.engine`, changing by `toolkit.adapters.debian`.
"""
