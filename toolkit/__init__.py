"""From a TOML catalog to verified multi-architecture images, manifest lists and URI tables."""

__version__ = "0.1.0"
