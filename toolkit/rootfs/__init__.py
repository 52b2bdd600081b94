"""A Debian root file system made of its packages alone: nothing of the target is ever run.

Pure: .deb bytes in, the bytes of an image layer out. `deb` reads packages, `tree` is the file system,
`database` is dpkg's, `configure` makes what maintainer scripts would have made.
"""
