"""The one place where the version of holdfast stands."""

__version__ = "0.1.0.dev0"
