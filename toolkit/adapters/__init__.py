"""The edge: the only importers of python_on_whales, boto3, httpx and subprocess."""

import sys

# httpx brings its own command line along wherever click and rich are installed, a third of the time that it
# takes to load. None says that there is no such module, which httpx is prepared for.
# https://github.com/encode/httpx/blob/master/httpx/__init__.py, https://docs.python.org/3/library/sys.html#sys.modules
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
