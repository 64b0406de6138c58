"""The architecture is held by its imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import holdfast

ROOT = Path(holdfast.__file__).parent

MAY_IMPORT = {
    "errors": set(),
    "version": set(),
    "plugins": {"errors"},
    "model": {"errors", "model"},
    "authoring": {"errors", "model", "authoring"},
    "storage": {"errors", "plugins", "model", "storage"},
    "formats": {"errors", "model", "storage.format"},
    "runtime": {"errors", "plugins", "model", "storage", "runtime"},
    "engines": {
        *("errors", "runtime.engine", "runtime.job", "runtime.worker"),
        *("engines.process_messages", "engines.process_handle", "engines.process_guard"),
    },
    "views": {"errors", "model", "storage", "runtime.events", "views"},
    "cli": {"errors", "plugins", "version", "model", "authoring", "storage", "runtime", "views", "cli"},
    "testing": {"errors", "plugins", "model", "authoring", "storage", "formats", "runtime", "engines", "testing"},
}

ORDER = {
    "model": "flatbuffer arrow foreign column frame table dataset canonical content token checkpoint shape element fingerprint operation "
    "reference placeholder record datatype argument typecheck declared layout node listing graph control binding carried "
    "document workgraph lifecycle comparison explanation plan",
    "authoring": "annotation naming source reading distribution imported constant member reach extent implementation recorded decorate "
    "axes resolve trace flow loop",
    "storage": "flush parallel workdir owner confine lockfile ownership format selection metadata stamp store staging generation "
    "checkpoint publish datastore turnstile statement translation database doorbell claims rows seal catalog writer reserve "
    "commit inventory target summary entry log verify repair marks clearing needs collect userfile",
    "runtime": "events audience job engine code pickled worker permission recent part places contents task acceptance commitment happening "
    "ledger sharing elsewhere dispatch follow nodecall repeated rounds gathering members ensemble reduction iteration counted "
    "branch expansion generated known launch lookup settlement scheduler standing driver presence nearest difference accept "
    "explain request plan "
    "finished check inquiry session builder context",
}

OPTIONAL = {"numpy", "cloudpickle", "rich", "distributed", "dask", "h5py", "pyarrow", "pandas", "polars", "xarray"}

FILES = sorted(ROOT.rglob("*.py"))


def place(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imports(path: Path, *, at_top: bool = False) -> list[str]:
    tree = ast.parse(path.read_text())
    skipped = {id(node) for check in ast.walk(tree) if is_type_checking(check) for node in ast.walk(check)}
    found: list[str] = []
    for node in tree.body if at_top else ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.append(node.module or "")
        elif isinstance(node, ast.Import):
            found.extend(alias.name for alias in node.names)
    return found


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@pytest.mark.parametrize("path", FILES, ids=place)
def test_imports_point_down_the_layer_table(path: Path) -> None:
    layer = place(path).partition(".")[0]
    if layer == "__init__":
        return
    for name in imports(path):
        if name.startswith("holdfast."):
            wanted = name.removeprefix("holdfast.")
            allowed = MAY_IMPORT[layer]
            assert wanted.partition(".")[0] in allowed or wanted in allowed, f"{layer} must not import {wanted}"


@pytest.mark.parametrize("folder", ORDER)
def test_within_a_folder_a_file_imports_only_what_stands_above_it(folder: str) -> None:
    order = ORDER[folder].split()
    assert sorted(order) == sorted(path.stem for path in (ROOT / folder).glob("*.py") if path.stem != "__init__")
    for position, name in enumerate(order):
        for imported in imports(ROOT / folder / f"{name}.py"):
            if imported.startswith(f"holdfast.{folder}."):
                assert imported.rpartition(".")[2] in order[:position], f"{folder}/{name}.py must not import {imported}"


@pytest.mark.parametrize("path", FILES, ids=place)
def test_heavy_packages_are_imported_late(path: Path) -> None:
    if place(path).partition(".")[0] in ("formats", "engines", "testing"):
        return
    assert not {name.partition(".")[0] for name in imports(path, at_top=True)} & OPTIONAL


def test_only_storage_opens_files() -> None:
    allowed = {"storage", "formats", "testing", "cli"}
    readers_of_source = {"authoring.distribution", "model.datatype"}
    for path in FILES:
        if place(path).partition(".")[0] in allowed or place(path) in readers_of_source:
            continue
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        assert not any(isinstance(call, ast.Name) and call.id == "open" for call in calls), f"{path} opens a file"


def test_only_the_database_runs_sql() -> None:
    for path in FILES:
        if place(path) == "storage.database":
            continue
        if place(path) != "storage.translation":  # which knows the errors
            assert "sqlite3" not in imports(path), f"{path} must not talk to the database"
        run = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        assert not run & {"execute", "executemany", "executescript"}, f"{path} runs SQL"


@pytest.mark.parametrize("path", FILES, ids=place)
def test_files_are_small_and_say_what_they_are_for(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 450, f"{path} is too long; split it by its verbs"
    if path.stem != "__init__" or text:
        assert ast.get_docstring(ast.parse(text)), f"{path} has no docstring"
    assert not {"utils", "helpers", "common", "base", "manager", "core", "misc"} & set(path.stem.split("_"))


def test_the_public_face_is_small_and_closed() -> None:
    tree = ast.parse((ROOT / "__init__.py").read_text())
    kinds = (ast.ImportFrom, ast.Assign, ast.Expr)
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert functions == ["__getattr__", "__dir__"]
    assert all(isinstance(node, (*kinds, ast.FunctionDef)) or is_type_checking(node) for node in tree.body)
    assert len(holdfast.__all__) <= 40
    assert sorted(holdfast.__all__) == list(holdfast.__all__)
    assert all(hasattr(holdfast, name) for name in holdfast.__all__)
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported - {"import_module", "TYPE_CHECKING"} == set(holdfast.__all__)


def test_importing_holdfast_imports_nothing_heavy() -> None:
    code = "import sys, holdfast; print(*(name for name in sys.modules if name.startswith(('holdfast', 'numpy', 'sqlite3'))))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["holdfast"]


def test_writing_a_graph_imports_neither_numpy_nor_the_database() -> None:
    code = "import sys, holdfast as hf; hf.operation(len, name='a.b', version='1')(1); print({'numpy', 'sqlite3'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "set()\n"


def test_the_wall_clock_is_read_for_people_and_for_ages_and_decides_nothing() -> None:
    allowed = {
        "storage.workdir": {"gmtime", "strftime"},
        "storage.seal": {"time"},
        "storage.collect": {"time"},
        "cli.collect": {"time"},
    }
    clocks = {"time", "time_ns", "gmtime", "localtime", "strftime", "ctime"}
    for path in FILES:
        tree = ast.parse(path.read_text())
        attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
        read = {
            node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id == "time"
        } & clocks
        imported = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "time"
            for alias in node.names
        }
        assert read | (imported & clocks) <= allowed.get(place(path), set()), f"{path} reads the wall clock"
        assert "datetime" not in imports(path), f"{path} reads the wall clock"
