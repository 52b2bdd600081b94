"""Layers as bytes → the final file system: what is in it, for which machine, from which packages.

`bytestream`, `compression` and `tarstream` read a layer in one pass; `scan` keeps what verification needs
of it (`elf`, `installed`), `filesystem` merges the scans with whiteouts applied.
"""
