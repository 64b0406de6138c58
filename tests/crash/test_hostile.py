"""What somebody else wrote runs nothing and leads nowhere: files, documents, checkpoints and directories made to be read by us."""

from __future__ import annotations

import base64
import io
import itertools
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import everything
import h5py
import hostile
import numpy
import pytest

import holdfast as hf
from holdfast.model.content import Content
from holdfast.storage.format import TEXT, Layout
from holdfast.storage.metadata import METADATA, Metadata, StoredFile, write_metadata
from holdfast.storage.workdir import open_workdir

LENGTH = 17_000
"""Elements of the arrays of `everything`."""


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"import evil; open({str(self.mark)!r}, 'w')",)


class Reader:
    """The process that reads, and says what that made it do."""

    def __init__(self, outside: Path) -> None:
        command = [sys.executable, hostile.__file__, str(outside)]
        path = os.pathsep.join(
            [str(outside.with_name("modules")), *sys.path]
        )  # so that the evil module could be imported
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path}
        )

    def read(self, path: Path) -> list[str]:
        """Return what was wrong with reading this."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        lines = [line.rstrip("\n") for line in iter(self.process.stdout.readline, "done\n") if line]
        assert self.process.poll() is None, f"it died of {path}"
        return [line for line in lines if line]


@pytest.fixture
def outside(quick_path: Path) -> Path:
    """A folder that nothing may touch."""
    place = quick_path / "outside"
    place.mkdir()
    place.with_name("modules").mkdir()
    (place.with_name("modules") / "evil.py").write_text(f"open({str(place / 'executed')!r}, 'w')\n")
    (place / "precious").write_bytes(b"precious\n" * 1000)
    return place


@pytest.fixture
def reader(outside: Path) -> Iterator[Reader]:
    """A process that reads."""
    made = Reader(outside)
    yield made
    made.process.kill()
    made.process.communicate()


def snapshot(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Return what is in a folder, with the times at which it was changed and how many names it has."""
    found = {}
    for path in sorted(folder.rglob("*")):
        facts = path.lstat()
        found[str(path.relative_to(folder))] = (
            facts.st_mode,
            facts.st_mtime_ns,
            facts.st_nlink,
            path.is_file() and path.read_bytes(),
        )
    return found


def pickles(outside: Path) -> Iterator[bytes]:
    """Yield pickles that do something, of every protocol."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        yield pickle.dumps(Evil(outside / "executed"), protocol)
        yield pickle.dumps({"step": 1, "x": Evil(outside / "executed")}, protocol)


def numpy_files(outside: Path) -> Iterator[bytes]:
    """Yield files for NumPy: objects, expressions in the header, archives, and pickles without anything else."""
    objects = io.BytesIO()
    numpy.save(objects, numpy.array([Evil(outside / "executed")], dtype=object), allow_pickle=True)
    yield objects.getvalue()
    evil = "__import__('evil')"
    for header in (
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        f"{{'descr': {evil}, 'fortran_order': False, 'shape': ({LENGTH},), }}",
        f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({evil},), }}",
        f"{{'descr': '<f8', 'fortran_order': {evil}, 'shape': ({LENGTH},), }}",
        "{'descr': [('a', '<f8'), ('b', '|O')], 'fortran_order': False, 'shape': (1,), }",
        f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({LENGTH},), 'evil': {evil}, }}",
        evil,
    ):
        for version in (b"\x01\x00", b"\x02\x00", b"\x03\x00"):
            size = len(header).to_bytes(2 if version == b"\x01\x00" else 4, "little")
            yield b"\x93NUMPY" + version + size + header.encode() + bytes(8 * LENGTH)
    archive = io.BytesIO()
    numpy.savez(archive, x=numpy.array([Evil(outside / "executed")], dtype=object))
    yield archive.getvalue()
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as written:
        written.writestr("../../outside/executed", "x")
        written.writestr("__main__.py", "import evil")
    yield code.getvalue()


def hdf5_files(outside: Path) -> Iterator[bytes]:
    """Yield files for HDF5: links and data that stand elsewhere, filters, references and types that are no numbers."""

    def links(file: Any) -> None:
        file["data"] = h5py.ExternalLink(str(outside / "precious"), "/data")

    def soft(file: Any) -> None:
        file["data"] = h5py.SoftLink("/elsewhere")

    def external(file: Any) -> None:
        file.create_dataset("data", (LENGTH,), "<i8", external=[(str(outside / "precious"), 0, 8 * LENGTH)])

    def virtual(file: Any) -> None:
        layout = h5py.VirtualLayout((LENGTH,), "<i8")
        layout[:] = h5py.VirtualSource(str(outside / "precious"), "data", (LENGTH,))
        file.create_virtual_dataset("data", layout)

    def packed(file: Any) -> None:
        file.create_dataset("data", data=numpy.zeros(LENGTH, "<i8"), chunks=True, compression="gzip")

    def strings(file: Any) -> None:
        file.create_dataset("data", (2,), h5py.string_dtype())

    def references(file: Any) -> None:
        file.create_dataset("data", (2,), h5py.ref_dtype)

    def compound(file: Any) -> None:
        file.create_dataset("data", (2,), numpy.dtype([("a", "<f8"), ("b", "<i4")]))

    def group(file: Any) -> None:
        file.create_group("data")

    def opaque(file: Any) -> None:
        file.create_dataset("data", data=numpy.void(pickle.dumps(Evil(outside / "executed"))))

    for fill in (links, soft, external, virtual, packed, strings, references, compound, group, opaque):
        stream = io.BytesIO()
        with h5py.File(stream, "w") as file:
            fill(file)
        yield stream.getvalue()


def texts(outside: Path) -> Iterator[bytes]:
    """Yield texts for a value: tokens that name files, modules and what is not there."""
    pickled = base64.b64encode(pickle.dumps(Evil(outside / "executed"))).decode()
    precious = str(outside / "precious")
    for value in (
        {"$file": [sha256(Path(precious).read_bytes()).hexdigest(), 9000]},
        {"$file": [precious, 9000]},
        {"$array": ["|O", [1], precious]},
        {"$array": ["<f8", [1], "../../../outside/precious"]},
        {"$pickle": pickled},
        {"$import": "evil"},
        {"$python": "__import__('evil')"},
        {"py/object": "evil.Evil"},
        {"py/reduce": [{"py/function": "os.system"}, {"py/tuple": ["touch executed"]}]},
        {"__class__": "evil.Evil", "__module__": "evil"},
        {"$mapping": [["a", {"$import": "evil"}]]},
        {"$complex": ["__import__('evil')", "0"]},
        {"$float": "__import__('evil')"},
        {"$bytes": pickled},
    ):
        yield json.dumps(value, separators=(",", ":")).encode()


def stores(outside: Path) -> Iterator[tuple[Metadata, bytes]]:
    """Yield stores of which the metadata are true: of one file each, in every format that could be misled by it."""
    array = Layout("<i8", (LENGTH,))
    evil = [*pickles(outside), *numpy_files(outside)]
    for data in [*evil, *hdf5_files(outside)]:
        for form, suffix in (("numpy", ".npy"), ("hdf5", ".h5"), ("xdr", ".xdr"), ("arrow", ".arrow")):
            checksum = sha256(data).hexdigest() if form == "hdf5" else ""
            yield (
                Metadata(b"\1" * 32, (StoredFile(f"data{suffix}", form, array, len(data), "ab" * 32, checksum),)),
                data,
            )
    for data in [*texts(outside), *evil[:4]]:
        text = Content(data, {})
        file = StoredFile("data.json", "json", Layout(TEXT, (len(data),)), len(data), text.digest.hex())
        yield Metadata(text.digest, (file,)), data
    for name in ("pickle", "evil", "evil:Evil", "os", "holdfast.formats.numpy", "../evil", "__main__", "", "joblib"):
        yield Metadata(b"\1" * 32, (StoredFile("data.pkl", name, array, len(evil[0]), "ab" * 32),)), evil[0]


def documents() -> Iterator[str]:
    """Yield documents that name operations, types and code of modules that were not allowed."""
    whole = json.loads(hf.WorkGraph(everything.targets()).to_json())
    for name in (
        "os.system",
        "evil.run",
        "evil",
        "builtins.exec",
        "subprocess.run",
        "everything.os.getcwd",
        "__main__.x",
    ):
        scope = name.split(".")
        for old in ("everything.parts", "holdfast.map", "scalems.Float64", "holdfast.implementation"):
            text = json.dumps(whole)
            text = text.replace(json.dumps(old.split(".")), json.dumps(scope)).replace(f'"{old}"', f'"{name}"')
            yield with_true_uids(json.loads(text))


def with_true_uids(document: dict[str, Any]) -> str:
    """Return a document in which every record has the uid that it must have."""
    from holdfast.model.fingerprint import Fingerprint

    text = json.dumps(document)
    for number in range(len(document["referents"])):
        referent = json.loads(text)["referents"][number]
        uid = referent.pop("uid")
        text = text.replace(uid, Fingerprint.of(referent).uid().hex())
    return text


@pytest.mark.crash
def test_nothing_is_executed_by_hostile_files_documents_and_checkpoints(
    quick_path: Path, outside: Path, reader: Reader
) -> None:
    work = open_workdir(quick_path / "work")
    before = snapshot(outside)
    paths = []
    for number, (metadata, data) in enumerate(stores(outside)):
        store = work.nodes / f"{number:02x}"[-2:] / sha256(b"%d" % number).hexdigest()
        store = work.nodes / store.name[:2] / store.name
        store.mkdir(parents=True)
        (store / metadata.files[0].name).write_bytes(data)
        (store / METADATA).write_bytes(write_metadata(metadata))
        paths.append(store / METADATA)
    for number, text in enumerate(documents()):
        paths.append(quick_path / f"{number}.document")
        paths[-1].write_text(text)
    for data in pickles(outside):
        for beginning in (b"", b"holdfast checkpoint 1\n", b"holdfast checkpoint 1\n{}\n"):
            key = sha256(beginning + data).hexdigest()
            paths.append(work.checkpoints / key[:2] / key / "00000001-00000001.state")
            paths[-1].parent.mkdir(parents=True)
            paths[-1].write_bytes(beginning + data)
    assert len(paths) >= 200
    assert sum(path.suffix == ".document" for path in paths) >= 20
    for path in paths:
        assert reader.read(path) == [], f"reading {path}"
    assert snapshot(outside) == before


def entries(work: Path, outside: Path) -> Iterator[tuple[Path, Path]]:
    """Yield places in a directory, of its stores those of one, each with something outside that has what belongs there."""
    store = next(work.glob("nodes/*/*/data.json")).parent
    of_stores = {store.parent, store, *store.iterdir()}
    for place in sorted(work.rglob("*")):
        if work / "nodes" not in place.parents or place in of_stores:
            yield place, outside / f"copy-{len(place.parts)}-{place.name}"
    for name in ("catalog.db-journal", "owner.json", "damaged", "tmp/left", "nodes/00", f"checkpoints/cd/{'cd' * 32}"):
        yield work / name, outside / "precious"


@pytest.mark.crash
@pytest.mark.parametrize("kind", ["link to what belongs there", "link to a folder", "pipe"])
def test_no_link_is_followed_out_of_a_directory_and_no_pipe_waited_for(
    quick_path: Path, outside: Path, reader: Reader, kind: str
) -> None:
    whole = quick_path / "whole"
    subprocess.run([sys.executable, everything.__file__, str(whole)], check=False, timeout=60)
    found = list(entries(whole, outside))
    for place, copy in found:
        if place.is_dir():
            shutil.copytree(place, copy, dirs_exist_ok=True)
        elif place.exists():
            shutil.copy(place, copy)
    (outside / "folder" / "ab").mkdir(parents=True)
    (outside / "folder" / "ab" / "precious").write_text("precious")
    before = snapshot(outside)
    assert len(found) > 20
    for place, copy in found:
        work = Path(shutil.copytree(whole, quick_path / "work"))
        target = work / place.relative_to(whole)
        if target.is_dir():
            shutil.rmtree(target)
        target.unlink(missing_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        if kind == "pipe":
            os.mkfifo(target)
        else:
            target.symlink_to(copy if kind == "link to what belongs there" else outside / "folder")
        assert reader.read(work) == [], f"{place.relative_to(whole)} is a {kind}"
        assert snapshot(outside) == before, f"{place.relative_to(whole)} is a {kind}"
        shutil.rmtree(work)


@pytest.mark.crash
def test_names_that_lead_out_of_a_directory_are_refused(quick_path: Path, outside: Path, reader: Reader) -> None:
    work = open_workdir(quick_path / "work")
    data = b"precious\n" * 1000
    names = [
        "../../../outside/precious",
        str(outside / "precious"),
        "data.npy/../../../../outside/precious",
        "..",
        ".",
        "a\0b",
    ]
    names += ["data.npy\n", "data.NPY", "", "data", f"data.{'x' * 300}", "owner.json", "data.npy/"]
    before = snapshot(outside)
    for name, stem in itertools.product(names, ("", "array-0")):
        store = work.nodes / "ab" / ("ab" * 32)
        store.mkdir(parents=True, exist_ok=True)
        text = write_metadata(
            Metadata(b"\1" * 32, (StoredFile("data.npy", "numpy", Layout("<i8", (1,)), len(data), "ab" * 32),))
        )
        written = json.dumps(stem + name)[1:-1].encode()
        (store / METADATA).write_bytes(text.replace(b"data.npy", written))
        assert reader.read(store / METADATA) == [], name
    assert snapshot(outside) == before
