from __future__ import annotations

import importlib.util
import linecache
import pickle
import socket
import subprocess
import sys
import textwrap

import pytest

from holdfast.errors import UnstableCode
from holdfast.runtime import code as code_module
from holdfast.runtime.code import SCRIPT_MARK, describe, load
from holdfast.runtime.job import Code
from holdfast.testing import calculations


def load_file(path, name, *, is_script=False):
    """Load a file as the CLI loads a script, or as pytest loads a test: without a place on `sys.path`."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if is_script:
        setattr(module, SCRIPT_MARK, True)
    spec.loader.exec_module(module)
    return module


def call_elsewhere(code, *arguments, folder):
    """Return what the function gives in a new process, which does not see the modules of this one."""
    source = (
        "import pickle, sys; from holdfast.runtime.code import load; code, arguments = pickle.load(sys.stdin.buffer); "
        "sys.stdout.buffer.write(pickle.dumps(load(code)(*arguments)))"
    )
    command = [sys.executable, "-P", "-c", source]
    done = subprocess.run(
        command, input=pickle.dumps((code, arguments)), stdout=subprocess.PIPE, check=True, cwd=folder
    )
    return pickle.loads(done.stdout)


@pytest.fixture
def module_file(tmp_path, monkeypatch):
    def write(name, source):
        path = tmp_path / f"{name}.py"
        path.write_text(textwrap.dedent(source))
        monkeypatch.setitem(sys.modules, name, None)
        del sys.modules[name]
        return path

    return write


class Wrapper:
    """As an operation wraps its function."""

    def __init__(self, function):
        self.function = function


def test_a_function_of_a_module_travels_by_reference():
    code = describe(calculations.add, "demo.add")
    assert code == Code("demo.add", "holdfast.testing.calculations", "add", b"")
    assert load(code) is calculations.add


def test_an_operation_of_a_module_is_found_behind_its_wrapper(monkeypatch):
    function = calculations.add
    monkeypatch.setattr(calculations, "add", Wrapper(function))
    code = describe(function, "demo.add")
    assert (code.module, code.qualname) == ("holdfast.testing.calculations", "add")
    code_module._load.cache_clear()
    assert load(code) is function
    code_module._load.cache_clear()


def test_a_function_whose_name_means_another_one_now_travels_by_value(monkeypatch):
    function = calculations.add
    monkeypatch.setattr(calculations, "add", calculations.divide)
    assert describe(function, "demo.add").pickled


def test_positional_labels_are_read_or_given():
    assert describe(calculations.divide, "demo.divide").positional == ("above",)
    assert describe(calculations.divide, "demo.divide", positional=("below",)).positional == ("below",)


def test_lambdas_and_closures_travel_by_value(tmp_path):
    factor = 3
    for function in (lambda x: factor * x, [lambda x: x * 3][0]):
        code = describe(function, "demo.triple")
        assert not code.module
        assert call_elsewhere(code, 5, folder=tmp_path) == 15


SCRIPT = """
    LIMIT = 10

    class Clipper:
        def __call__(self, x):
            return min(x, LIMIT)

    def helper(x):
        return Clipper()(x)

    def clip(x):
        return helper(x)
"""


@pytest.mark.parametrize("is_script", [True, False])
def test_a_module_that_workers_cannot_import_travels_whole(tmp_path, module_file, is_script):
    """True is a script that the command line has loaded, False a test file, which pytest loads by its path."""
    module = load_file(module_file("clipping", SCRIPT), "clipping", is_script=is_script)
    code = describe(module.clip, "clipping.clip")
    assert not code.module
    assert call_elsewhere(code, 99, folder=tmp_path.parent) == 10


def test_an_importable_module_marked_as_script_travels_by_value(tmp_path, module_file, monkeypatch):
    module_file("clipping", SCRIPT)
    monkeypatch.syspath_prepend(tmp_path)
    import clipping

    assert describe(clipping.clip, "clipping.clip").module == "clipping"
    setattr(clipping, SCRIPT_MARK, True)
    assert not describe(clipping.clip, "clipping.clip").module


def test_the_user_decides_how_a_function_travels(tmp_path, module_file, monkeypatch):
    module_file("clipping", SCRIPT)
    monkeypatch.syspath_prepend(tmp_path)
    import clipping

    code = describe(clipping.clip, "clipping.clip", by_value=True)
    assert call_elsewhere(code, 99, folder=tmp_path.parent) == 10
    with pytest.raises(UnstableCode, match=r"demo\.local.*cannot be imported"):
        describe(lambda x: x, "demo.local", by_value=False)


def test_what_travels_by_value_is_not_remembered_by_cloudpickle(tmp_path, module_file):
    import cloudpickle

    before = cloudpickle.list_registry_pickle_by_value()
    module = load_file(module_file("clipping", SCRIPT), "clipping", is_script=True)
    describe(module.clip, "clipping.clip")
    assert cloudpickle.list_registry_pickle_by_value() == before


def test_in_memory_the_function_itself_is_handed_over():
    connection = socket.socket()

    def uses_a_socket():
        return connection

    code = describe(uses_a_socket, "demo.socket", in_memory=True)
    assert load(code) is uses_a_socket
    connection.close()
    with pytest.raises(TypeError, match=r"demo\.socket"):
        pickle.dumps(code)


def test_what_cannot_be_pickled_is_named():
    connection = socket.socket()

    def helper():
        return connection

    def uses_a_helper():
        return helper()

    with pytest.raises(UnstableCode) as raised:
        describe(uses_a_helper, "demo.socket")
    connection.close()
    message = str(raised.value)
    assert "demo.socket" in message
    assert "'connection'" in message
    assert "helper" in message
    assert "socket.socket" in message
    assert "Open or build it inside the function" in message


def test_an_unpicklable_global_is_named(module_file):
    source = """
        import threading
        GUARD = threading.Lock()

        def work():
            with GUARD:
                return 1
    """
    module = load_file(module_file("guarded", source), "guarded", is_script=True)
    with pytest.raises(UnstableCode, match=r"the global 'GUARD' of work, a _thread\.lock"):
        describe(module.work, "guarded.work")


def test_loading_is_done_once():
    code = describe(lambda x: x, "demo.same")
    assert load(code) is load(pickle.loads(pickle.dumps(code)))


def test_source_lines_travel_where_no_file_has_them():
    name = "<cell 1>"
    source = "def cell(x):\n    return 1 / x\n"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    namespace = {"__name__": "__main__"}
    exec(compile(source, name, "exec"), namespace)
    code = describe(namespace["cell"], "notebook.cell")
    del linecache.cache[name]
    load(code)
    assert linecache.getline(name, 2) == "    return 1 / x\n"
