"""Read what somebody else wrote, and print what that made Python do: usage: hostile.py OUTSIDE, and then paths, one a line.

A path is that of a working directory, of a document, of a store's metadata or of a checkpoint. Printed are, one line each, exceptions that
are none of ours, programs that were started, classes that were unpickled, code and modules that are named evil, and what was touched in the
folder OUTSIDE; and then a line `done`.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import everything

import holdfast as hf
from holdfast.cli.main import main
from holdfast.errors import HoldfastError
from holdfast.model.content import decode
from holdfast.storage.checkpoint import CheckpointFacility
from holdfast.storage.metadata import METADATA
from holdfast.storage.repair import repair
from holdfast.storage.store import open_array, read_text, verify_store
from holdfast.storage.workdir import WorkDirectory

STARTS = {
    "pickle.find_class",
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "socket.connect",
}
FOLLOWING = {"open", "os.listdir", "os.scandir", "os.truncate"}
"""What goes where a link leads, unless it is told not to."""
CHANGING = {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink"}
"""What changes a folder, and a link and not what it leads to."""

EVIL = "evil"
"""Name of the module that what is hostile wants to be imported, and of the code that it wants to be run."""


class Watch:
    """Notes what happens while it is on."""

    def __init__(self, outside: Path) -> None:
        self.outside = str(outside)
        self.is_on = False
        self.seen: list[str] = []
        sys.addaudithook(self.note)

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take an event of Python's."""
        if not self.is_on:
            return
        named = [os.fsdecode(path) for path in arguments[:2] if isinstance(path, (str, bytes))]
        if event in CHANGING or (event == "open" and arguments[2] & os.O_NOFOLLOW):
            named = [os.path.dirname(path) + os.sep for path in named]
        is_evil = event in ("import", "exec", "compile") and any(EVIL in str(argument) for argument in arguments)
        is_outside = event in FOLLOWING | CHANGING and any(map(self.is_outside, named))
        if event in STARTS or is_evil or is_outside:
            self.seen.append(f"{event} {arguments!r:.200}")

    def is_outside(self, path: str) -> bool:
        """Return whether a path leads to where nothing may be touched; one name alone is opened below a folder, without links."""
        return os.sep in path and (os.path.realpath(path) + os.sep).startswith(self.outside + os.sep)


def readings(path: Path) -> dict[str, Callable[[], object]]:
    """Return all that can be done with a path, by name."""
    if path.suffix == ".document":
        return {"document": lambda: hf.WorkGraph.from_json(path.read_text(), hf.allow("everything")).to_json()}
    if path.name == METADATA:
        workdir, store = WorkDirectory(path.parents[3]), path.parent.name
        files = [file for file in path.parent.iterdir() if file.name != METADATA]
        arrays = {f"open {file.name}": lambda file=file: open_array(file) for file in files}
        texts = {"text": lambda: decode(read_text(workdir, store), lambda digest: open_array(files[0]))}
        return arrays | texts | {"verify": lambda: verify_store(workdir, store)}
    if path.suffix == ".state":
        return {"load": lambda: CheckpointFacility(path.parents[3], path.parent.name).load(lambda state: None)}
    return of_directory(path)


def of_directory(work: Path) -> dict[str, Callable[[], object]]:
    """Return all that can be done with a directory."""
    node = everything.targets()["parts"]
    words = {"status": [], "ls": [], "verify": [], "show": [node.uid], "explain": [node.uid]}
    commands = {name: lambda name=name: main([name, *words[name], "--work", str(work)]) for name in words}
    return commands | {
        "compute": lambda: everything.compute(work),
        "load": lambda: CheckpointFacility(work, "ab" * 32).load(lambda state: None),
        "write": lambda: CheckpointFacility(work, "cd" * 32).write({"step": 1}),
        "context": lambda: hf.WorkerContext(work).add_node(node),
        "repair": lambda: repair(work),
        "compute again": lambda: everything.compute(work),
    }


def read(path: Path) -> list[str]:
    """Do everything, and return what ended by an exception that is none of ours."""
    wrong = []
    for name, action in readings(path).items():
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                action()
            except HoldfastError:
                pass
            except Exception as error:
                wrong.append(f"{name}: {type(error).__name__}: {error}")
    return wrong


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as place:
        read(Path(place) / "work")  # what the library itself imports and asks is no news then
    watch = Watch(Path(sys.argv[1]).resolve())
    for line in sys.stdin:
        watch.is_on = True
        wrong = read(Path(line.rstrip("\n")))
        watch.is_on = False
        print(*wrong, *watch.seen, "done", sep="\n", flush=True)
        watch.seen.clear()
