"""Tell whose a piece of code is: the user's own, or an installed distribution's, which counts by name and version.

Never imports anything.

State: the versions found, by name and the module that is loaded, and the digests of files; each is read once per process.
"""

from __future__ import annotations

import sys
from functools import cache, lru_cache
from hashlib import sha256
from importlib import metadata
from types import FunctionType, ModuleType

from holdfast.authoring.source import Same

_SUFFIXES = ("/site-packages/", "/dist-packages/")


def module_of(item: object) -> str:
    """Return the name of the module that a thing's code comes from; of a function, whatever it was renamed to."""
    if isinstance(item, ModuleType):
        return item.__name__
    if isinstance(item, FunctionType):
        return str(item.__globals__.get("__name__", item.__module__))
    own = getattr(item, "__module__", None)
    return own if isinstance(own, str) else type(item).__module__


def is_installed(name: str) -> bool:
    """Return whether the module of that name belongs to an installed distribution or to Python."""
    if name == "__main__":
        return False
    if name in ("builtins", "typing", "holdfast") or name.startswith("holdfast."):
        return True
    module = sys.modules.get(name)
    path = getattr(module, "__file__", None)
    if path:
        return is_installed_path(path)
    return name.partition(".")[0] in sys.stdlib_module_names


@cache
def is_installed_path(path: str) -> bool:
    """Return whether a file belongs to an installed distribution or to Python."""
    plain = path.replace("\\", "/")
    return plain.startswith((*_installation_folders(), "<frozen")) or any(suffix in plain for suffix in _SUFFIXES)


def installed_name(item: object) -> str:
    """Return package and name of a module, function or class of Python's or of a distribution; empty for anything else.

    The modules within a package and the compiled twin of a module of Python's are left out: they differ between versions.
    """
    module = module_of(item)
    if not is_installed(module) or module.partition(".")[0] == "holdfast":
        return ""
    if isinstance(item, ModuleType):
        return module
    if module == "_thread":  # a lock is a function's or a class's work, by the version of Python
        return "thread"
    name = getattr(item, "__qualname__", None)
    return f"{module.partition('.')[0].removeprefix('_')}.{name}" if isinstance(name, str) else ""


def installed_part(name: str) -> tuple[str, str] | None:
    """Return name and version under which a module's distribution counts; None for Python itself and for holdfast."""
    package = name.partition(".")[0]
    if package in sys.stdlib_module_names or package in ("holdfast", "", "__main__"):
        return None
    return f"package {package}", _version(package, Same(sys.modules.get(package)))


def compiled_part(name: str) -> tuple[str, str] | None:
    """Return name and digest of the file of a compiled or source-less module of the user's own."""
    path = getattr(sys.modules.get(name), "__file__", None)
    return (f"file of {name}", file_digest(path)) if path and not path.endswith(".py") else None


@cache
def file_digest(path: str) -> str:
    """Return the hex SHA-256 of a file's bytes as they were when first asked for in this process."""
    with open(path, "rb") as stream:
        return sha256(stream.read()).hexdigest()


@lru_cache(maxsize=4096)
def _version(package: str, module: Same) -> str:
    for name in (package, *_distributions().get(package, ())) if not _has_metadata(package) else (package,):
        try:
            return metadata.version(name)
        except (metadata.PackageNotFoundError, ValueError):
            continue
    version = getattr(module.item, "__version__", None)
    return version if isinstance(version, str) else "unknown version"


def _has_metadata(package: str) -> bool:
    try:
        metadata.distribution(package)
    except (metadata.PackageNotFoundError, ValueError):
        return False
    return True


@cache
def _distributions() -> dict[str, list[str]]:
    """Return the distributions of each importable package, for those that are named otherwise than what they install."""
    return {package: sorted(set(names)) for package, names in metadata.packages_distributions().items()}


@cache
def _installation_folders() -> tuple[str, ...]:
    """Return where installed packages live, holdfast itself among them."""
    import sysconfig

    here = __file__.rpartition("authoring")[0]
    return (here, *sorted({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}))
