"""Eighty edits of a small project of several modules, and which of its nodes run again after each: none missing, none too many.

Every edit is made to a copy of the project whose results are all there, and run in a process that has not seen the project before.
Nodes note that they ran; the last, `total`, adds up all others, so it runs again just when one of them has another result. `calls_operation` calls the functions of two other operations, which
note that they ran whoever calls them.
"""

# ruff: noqa: E501 (one edit is one line of the table)

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = {
    "pkg/__init__.py": "",
    "pkg/constants.py": '''
from enum import Enum
"""The numbers."""
SCALE = 3
OFFSET = 1  # a comment
LIMITS = {"low": 0, "high": 10}
NAMES = ["a", "b"]
CHOSEN = {"x", "y"}
PAIR = (1, 2)
UNUSED = 1


class Colour(Enum):
    RED = 1
    BLUE = 2


COLOUR = Colour.RED
''',
    "pkg/helpers.py": '''
import json
import math
import re
from pkg.constants import OFFSET

WORDS = re.compile("[ab]+")


def inner(x):
    # innermost
    return x + OFFSET


def shift(x):
    """Shift."""
    moved = inner(x)
    return moved


def even(n):
    return True if n == 0 else odd(n - 1)


def odd(n):
    return False if n == 0 else even(n - 1)


def factorial(n):
    return 1 if n < 2 else n * factorial(n - 1)


def unrelated(x):
    return x


def words(text):
    return len(WORDS.findall(text))
''',
    "pkg/models.py": '''
from dataclasses import dataclass, field
from typing import NamedTuple
from pkg.constants import SCALE


def start():
    return [1, 2]


class Unused:
    pass


class Root:
    def weight(self):
        return 2


class Base(Root):
    RATE = 5

    def apply(self, x):
        return x * self.RATE * self.weight()


class Model(Base):
    """A model."""

    extra = SCALE + 1

    @property
    def bias(self):
        return 7

    @staticmethod
    def half(x):
        return x // 2

    @classmethod
    def make(cls):
        return cls()

    def rarely(self):
        return 0


@dataclass
class Settings:
    steps: int = 4
    values: list = field(default_factory=start)


class Point(NamedTuple):
    x: int = 1
    y: int = 2


MODEL = Model()
''',
    "pkg/decorators.py": """
import functools


def scaled(factor):
    bonus = 1

    def decorate(function):
        @functools.wraps(function)
        def wrapper(**inputs):
            return function(**inputs) * factor + bonus

        return wrapper

    return decorate


def marked(function):
    function.mark = 1
    return function


def unused_decorator(function):
    return function
""",
    "pkg/late.py": '''
from pkg import later

LATE = 2


def late(x):
    """Late."""
    return later.deep(x) + LATE


def not_read(x):
    return x
''',
    "pkg/later.py": """
DEPTH = 3


def deep(x):
    return x + DEPTH


def shallow(x):
    return x
""",
    "site-packages/fakedist/__init__.py": """
def power(x):
    return x * x
""",
    "site-packages/fakedist-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: fakedist\nVersion: 1.0\n",
    "pkg/steps.py": """
import functools
import os
from functools import lru_cache, partial

import fakedist
import holdfast as hf
import pkg.constants
import pkg.constants as renamed
from pkg import helpers, models
from pkg.constants import CHOSEN, COLOUR, NAMES, PAIR, Colour
from pkg.decorators import marked, scaled
from pkg.helpers import even, factorial, shift, words
from pkg.models import MODEL, Model, Point, Settings

DECORATED_BY = 2


def ran(name):
    with open(os.environ["RAN"], "a") as stream:
        stream.write(name + " ")


@hf.operation
def shifted(x):
    ran("shifted")
    return shift(x)


@hf.operation
def recursive(x):
    ran("recursive")
    return int(even(x)) + factorial(x)


@hf.operation
def constant(x):
    ran("constant")
    return x * pkg.constants.SCALE + renamed.LIMITS["high"]


@hf.operation
def collected(x):
    ran("collected")
    return x + len(NAMES) + len(CHOSEN) + PAIR[1]


@hf.operation
def coloured(x):
    ran("coloured")
    return x if COLOUR is Colour.RED else -x


@hf.operation
def modelled(x):
    ran("modelled")
    return Model.make().apply(x) + Model.half(x) + Model().bias + Model.extra


@hf.operation
def instance(x):
    ran("instance")
    return MODEL.apply(x)


@hf.operation
def configured(x):
    ran("configured")
    return x + Settings().steps + sum(Settings().values)


@hf.operation
def pointed(x):
    ran("pointed")
    return x + Point().x


@hf.operation
@scaled(DECORATED_BY)
def decorated(x):
    ran("decorated")
    return x + 1


@marked
def is_marked(x):
    return x + is_marked.mark


@hf.operation
def mark_reader(x):
    ran("mark_reader")
    return is_marked(x)


@lru_cache(maxsize=None)
def remembered(x):
    return x + 5


@hf.operation
def cached(x):
    ran("cached")
    return remembered(x)


def added(x, y, z):
    return x + y + z


add_two = partial(added, 2, z=3)


@hf.operation
def partially(x):
    ran("partially")
    return add_two(x)


def with_default(x, step=6, *, more=1):
    return x + step + more


@hf.operation
def defaulted(x, power=2):
    ran("defaulted")
    return with_default(x) ** power


def enclose(amount):
    unused = 0

    def inside(x):
        return x + amount

    return inside


enclosing = enclose(9)


@hf.operation
def closed(x):
    ran("closed")
    return enclosing(x)


double, triple = lambda x: 2 * x, lambda x: 3 * x


@hf.operation
def by_lambda(x):
    ran("by_lambda")
    return double(x)


namespace = {}
exec("def generated(x):\\n    return x + 11 if x in {1, 2, 3, 99} else 0", namespace)
generated = namespace["generated"]


@hf.operation
def by_generated(x):
    ran("by_generated")
    return generated(x)


@hf.operation
def imports_late(x):
    from pkg.late import late

    ran("imports_late")
    return late(x)


@hf.operation
def installed(x):
    ran("installed")
    return fakedist.power(x)


@hf.operation
def matched(x):
    ran("matched")
    return x + words("ab b c")


@hf.operation
def nested(x):
    ran("nested")

    def within(y):
        return helpers.inner(y) * 2

    class Local:
        factor = renamed.SCALE

    return within(x) * Local.factor


TABLE = {"one": shift, "two": [partial(added, 1, 1)]}


@hf.operation
def tabled(x):
    ran("tabled")
    return TABLE["two"][0](x)


@hf.operation(version="1")
def versioned(x):
    ran("versioned")
    return x


@hf.operation
def calls_operation(x):
    ran("calls_operation")
    return recursive_part.function(x) + versioned.function(x)


@hf.operation
def recursive_part(x):
    ran("recursive_part")
    return x + 13


@hf.operation
def unchanged(x):
    ran("unchanged")
    return min(x, 3)


@hf.operation
def behind(x):
    ran("behind")
    return x + 1


SHARED = 4


@hf.operation(name="moving.target")
def moving(x):
    ran("moving")
    return moved_along(x) + SHARED


def moved_along(x):
    return x + 2


def not_used(x):
    return x


@hf.operation
def total(values):
    ran("total")
    return sum(values)
""",
    "flow.py": """
import holdfast as hf
from pkg import steps

one_by_one = [
    step(3)
    for step in vars(steps).values()
    if isinstance(step, type(hf.operation(len, name="builtin.len", version="1"))) and step.name.scope[-1] not in ("total", "behind")
]
last = steps.total([*one_by_one, steps.behind(steps.unchanged(7))])
""",
}

STEPS = "pkg/steps.py"


@dataclass(frozen=True)
class Edit:
    """One change of one file, and the nodes that must run again."""

    what: str
    file: str
    old: str
    new: str
    again: str = ""


EDITS = [
    # what does not count
    Edit("comment changed", "pkg/helpers.py", "# innermost", "# the innermost\n    # of all"),
    Edit("comment behind a constant", "pkg/constants.py", "# a comment", "# another"),
    Edit("docstring of a helper", "pkg/helpers.py", '"""Shift."""', '"""Shift it.\n\n    By much.\n    """'),
    Edit("docstring of a class", "pkg/models.py", '"""A model."""', '"""Another word."""'),
    Edit("docstring of a module", "pkg/constants.py", '"""The numbers."""', '"""Numbers."""'),
    Edit("docstring of what is imported late", "pkg/late.py", '"""Late."""', '"""Later."""'),
    Edit("blanks", "pkg/helpers.py", "return x + OFFSET", "return  x  +  OFFSET"),
    Edit("empty lines", "pkg/helpers.py", "def inner(x):", "\n\n\n\ndef inner(x):"),
    Edit("brackets over lines", STEPS, "partial(added, 2, z=3)", "partial(\n    added, 2, z=3\n)"),
    Edit("comment in an operation", STEPS, 'ran("shifted")', 'ran("shifted")  # notes it'),
    Edit("order of imports", "pkg/helpers.py", "import json\nimport math", "import math\nimport json"),
    Edit("import that is not used", STEPS, "import functools\n", "import functools\nimport decimal\n"),
    Edit("import removed that was not used", "pkg/helpers.py", "import json\n", ""),
    Edit("import by another way", STEPS, "from functools import lru_cache, partial", "from functools import partial, lru_cache"),
    Edit("unrelated function in a helper's file", "pkg/helpers.py", "def unrelated(x):\n    return x", "def unrelated(x):\n    return x + 1"),
    Edit("unrelated function in the operations' file", STEPS, "def not_used(x):\n    return x", "def not_used(x):\n    return x + 1"),
    Edit("unrelated function removed", "pkg/helpers.py", "def unrelated(x):\n    return x\n", ""),
    Edit("function added", "pkg/helpers.py", "def inner(x):", "def new():\n    return 5\n\n\ndef inner(x):"),
    Edit("functions in another order", "pkg/constants.py", 'PAIR = (1, 2)\nUNUSED = 1\n', 'UNUSED = 1\nPAIR = (1, 2)\n'),
    Edit("constant that nobody reads", "pkg/constants.py", "UNUSED = 1", "UNUSED = 2"),
    Edit("class that nobody uses", "pkg/models.py", "class Unused:\n    pass", "class Unused:\n    x = 1"),
    Edit("decorator that nobody uses", "pkg/decorators.py", "def unused_decorator(function):\n    return function", "def unused_decorator(function):\n    return None"),
    Edit("unrelated function of a module imported late", "pkg/late.py", "def not_read(x):\n    return x", "def not_read(x):\n    return -x"),
    Edit("unrelated function behind one imported late", "pkg/later.py", "def shallow(x):\n    return x", "def shallow(x):\n    return -x"),
    Edit("other lambda on the same line", STEPS, "lambda x: 3 * x", "lambda x: 4 * x"),
    Edit("code behind a stated version", STEPS, 'ran("versioned")\n    return x', 'ran("versioned")\n    return x + 1'),
    Edit("constant by another expression of one value", "pkg/constants.py", "SCALE = 3", "SCALE = 1 + 2"),
    Edit("set in another order", "pkg/constants.py", '{"x", "y"}', '{"y", "x"}'),
    Edit("file of an installed package, version kept", "site-packages/fakedist/__init__.py", "x * x", "x ** 2"),
    Edit("private attribute named like a global of elsewhere", "pkg/constants.py", "UNUSED = 1", "UNUSED = 1\ninner = 5\nshift = 6"),
    Edit("operation's own decorator gains an argument", STEPS, "@hf.operation\ndef shifted", '@hf.operation(format="")\ndef shifted'),
    # functions
    Edit("operation itself", STEPS, 'ran("shifted")\n    return shift(x)', 'ran("shifted")\n    return shift(x) + 1', "shifted total"),
    Edit("helper", "pkg/helpers.py", "return moved", "return moved * 2", "shifted tabled total"),
    Edit("helper of a helper", "pkg/helpers.py", "return x + OFFSET", "return x - OFFSET", "shifted nested tabled total"),
    Edit("helper of a helper, with the same result", "pkg/helpers.py", "return x + OFFSET", "return OFFSET + x", "shifted nested tabled"),
    Edit("local variable renamed", "pkg/helpers.py", "moved = inner(x)\n    return moved", "result = inner(x)\n    return result", "shifted tabled"),
    Edit("mutual recursion, first", "pkg/helpers.py", "True if n == 0", "True if n <= 0", "recursive"),
    Edit("mutual recursion, second", "pkg/helpers.py", "False if n == 0 else even(n - 1)", "n != 0 and even(n - 1)", "recursive"),
    Edit("recursion", "pkg/helpers.py", "1 if n < 2", "2 if n < 2", "recursive total"),
    Edit("default of a helper", STEPS, "step=6", "step=7", "defaulted total"),
    Edit("keyword-only default of a helper", STEPS, "more=1", "more=2", "defaulted total"),
    Edit("default of the operation", STEPS, "power=2", "power=3", "defaulted total"),
    Edit("value in a closure", STEPS, "enclose(9)", "enclose(10)", "closed total"),
    Edit("code of a closure", STEPS, "return x + amount", "return x - amount", "closed total"),
    Edit("outer function of a closure, without effect", STEPS, "unused = 0", "unused = 1"),
    Edit("lambda", STEPS, "lambda x: 2 * x", "lambda x: 5 * x", "by_lambda total"),
    Edit("generated function", STEPS, "x + 11", "x + 12", "by_generated total"),
    Edit("set in a generated function", STEPS, "{1, 2, 3, 99}", "{1, 2, 99}", "by_generated total"),
    Edit("partial's function", STEPS, "return x + y + z", "return x + y - z", "partially tabled total"),
    Edit("partial's argument", STEPS, "partial(added, 2, z=3)", "partial(added, 3, z=3)", "partially total"),
    Edit("partial's keyword", STEPS, "partial(added, 2, z=3)", "partial(added, 2, z=4)", "partially total"),
    Edit("partial in a list in a dictionary", STEPS, "partial(added, 1, 1)", "partial(added, 1, 2)", "tabled total"),
    Edit("function in a dictionary", STEPS, '"one": shift', '"one": factorial', "tabled"),
    Edit("helper bound to another function", STEPS, "import even, factorial, shift, words", "import even, factorial, inner as shift, words", "shifted tabled"),
    Edit("nested function", STEPS, "helpers.inner(y) * 2", "helpers.inner(y) * 4", "nested total"),
    Edit("function of another operation", STEPS, "return x + 13", "return x + 14", "recursive_part calls_operation versioned total"),
    Edit("stated version of another operation", STEPS, 'version="1"', 'version="2"', "versioned calls_operation recursive_part"),
    Edit("function behind functools.lru_cache", STEPS, "return x + 5", "return x + 6", "cached total"),
    # constants
    Edit("constant through an attribute of modules", "pkg/constants.py", "SCALE = 3", "SCALE = 4", "constant nested modelled instance total"),
    Edit("constant imported by name in a helper", "pkg/constants.py", "OFFSET = 1", "OFFSET = 2", "shifted nested tabled total"),
    Edit("dictionary behind an alias of a module", "pkg/constants.py", '"high": 10', '"high": 11', "constant total"),
    Edit("type of a constant", "pkg/constants.py", "SCALE = 3", "SCALE = 3.0", "constant nested modelled instance total"),
    Edit("list", "pkg/constants.py", '["a", "b"]', '["a", "c"]', "collected"),
    Edit("set", "pkg/constants.py", '{"x", "y"}', '{"x", "y", "z"}', "collected total"),
    Edit("tuple", "pkg/constants.py", "PAIR = (1, 2)", "PAIR = (1, 3)", "collected total"),
    Edit("tuple made a list", "pkg/constants.py", "PAIR = (1, 2)", "PAIR = [1, 2]", "collected"),
    Edit("member of an enumeration chosen", "pkg/constants.py", "COLOUR = Colour.RED", "COLOUR = Colour.BLUE", "coloured total"),
    Edit("value of an enumeration's member", "pkg/constants.py", "BLUE = 2", "BLUE = 3", "coloured"),
    Edit("compiled regular expression", "pkg/helpers.py", '"[ab]+"', '"[abc]+"', "matched total"),
    Edit("flags of a regular expression", "pkg/helpers.py", 're.compile("[ab]+")', 're.compile("[ab]+", re.I)', "matched"),
    # classes
    Edit("method", "pkg/models.py", "x * self.RATE * self.weight()", "x * self.RATE + self.weight()", "modelled instance total"),
    Edit("method of a base of a base", "pkg/models.py", "return 2", "return 3", "modelled instance total"),
    Edit("method that is not called", "pkg/models.py", "return 0", "return 1", "modelled instance"),
    Edit("class attribute of a base", "pkg/models.py", "RATE = 5", "RATE = 6", "modelled instance total"),
    Edit("property", "pkg/models.py", "return 7", "return 8", "modelled instance total"),
    Edit("static method", "pkg/models.py", "return x // 2", "return x // 1", "modelled instance total"),
    Edit("class method", "pkg/models.py", "return cls()", "return (cls)()", "modelled instance"),
    Edit("another base", "pkg/models.py", "class Model(Base)", "class Model(Base, Unused)" , "modelled instance"),
    Edit("state of an instance", "pkg/models.py", "MODEL = Model()", "MODEL = Model()\nMODEL.RATE = 8", "instance total"),
    Edit("dataclass field", "pkg/models.py", "steps: int = 4", "steps: int = 5", "configured total"),
    Edit("dataclass field added", "pkg/models.py", "steps: int = 4", "steps: int = 4\n    more: int = 0", "configured"),
    Edit("factory of a dataclass field", "pkg/models.py", "return [1, 2]", "return [1, 2, 3]", "configured total"),
    Edit("argument of the dataclass decorator", "pkg/models.py", "@dataclass\n", "@dataclass(frozen=True)\n", "configured"),
    Edit("default in a named tuple", "pkg/models.py", "x: int = 1", "x: int = 2", "pointed total"),
    # decorators
    Edit("wrapper in a decorator", "pkg/decorators.py", "* factor + bonus", "* factor - bonus", "decorated total"),
    Edit("body of a decorator", "pkg/decorators.py", "bonus = 1", "bonus = 2", "decorated total"),
    Edit("decorated function", STEPS, 'ran("decorated")\n    return x + 1', 'ran("decorated")\n    return x + 2', "decorated total"),
    Edit("argument of a decorator, a global", STEPS, "DECORATED_BY = 2", "DECORATED_BY = 3", "decorated total"),
    Edit("decorator that returns the function itself", "pkg/decorators.py", "function.mark = 1", "function.mark = 2", "mark_reader total"),
    Edit("decorator removed", STEPS, "@scaled(DECORATED_BY)\n", "", "decorated total"),
    # imports and places
    Edit("function imported late", "pkg/late.py", "later.deep(x) + LATE", "later.deep(x) - LATE", "imports_late total"),
    Edit("constant of a module imported late", "pkg/late.py", "LATE = 2", "LATE = 3", "imports_late total"),
    Edit("helper behind one imported late", "pkg/later.py", "return x + DEPTH", "return x - DEPTH", "imports_late total"),
    Edit("constant behind one imported late", "pkg/later.py", "DEPTH = 3", "DEPTH = 4", "imports_late total"),
    Edit("package upgraded", "site-packages/fakedist-1.0.dist-info/METADATA", "Version: 1.0", "Version: 1.1", "installed"),
    # early cut-off
    Edit("changed without another result", STEPS, "return min(x, 3)", "return min(3, x)", "unchanged"),
    Edit("changed with another result", STEPS, "return min(x, 3)", "return min(x, 4)", "unchanged behind total"),
]  # fmt: skip

RUNNER = """
import os, sys
sys.dont_write_bytecode = True
import holdfast as hf

for folder in sys.stdin.read().split("\\n"):
    child = os.fork()
    if child == 0:
        os.environ["RAN"] = folder + "/ran.txt"
        sys.path[:0] = [folder, folder + "/site-packages"]
        from flow import last
        with hf.Session(folder + "/work", engine="in_process") as session:
            session.result(last)
        sys.stdout.flush()
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(folder)
"""


def write(folder: Path, project: dict[str, str]) -> None:
    for name, text in project.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def run(folders: list[Path], seed: str) -> list[set[str]]:
    """Run the project in each folder in a process of its own, and return which nodes ran."""
    ended = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input="\n".join(map(str, folders)),
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONHASHSEED": seed},
    )
    assert ended.returncode == 0, ended.stderr
    return [
        set((folder / "ran.txt").read_text().split()) if (folder / "ran.txt").exists() else set() for folder in folders
    ]


@pytest.fixture(scope="module")
def reruns(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Return what ran again after each edit."""
    root = tmp_path_factory.mktemp("edits")
    write(root / "first", PROJECT)
    (ran,) = run([root / "first"], "1")
    assert len(ran) == PROJECT[STEPS].count("@hf.operation")
    projects = {edit.what: edited(edit) for edit in EDITS} | {
        "nothing": PROJECT,
        "moved": moved(),
        "scattered": moved("third"),
    }
    for what, project in projects.items():
        write(root / what, project)
        shutil.copytree(root / "first/work", root / what / "work")
    return dict(zip(projects, run([root / what for what in projects], "2"), strict=True))


def edited(edit: Edit) -> dict[str, str]:
    assert PROJECT[edit.file].count(edit.old) == 1, edit
    return {**PROJECT, edit.file: PROJECT[edit.file].replace(edit.old, edit.new)}


def moved(third: str = "") -> dict[str, str]:
    """Return the project with an operation moved to another module, its constant too, its helper there or to a third module."""
    steps = PROJECT[STEPS]
    begin, end = steps.index("SHARED = 4"), steps.index("def not_used")
    helper = steps[steps.index("def moved_along") : end]
    imported = steps[:begin] + "from pkg.elsewhere import moving\n\n\n" + steps[end:]
    text = "import os\n\nimport holdfast as hf\n\n\n" + steps[steps.index("def ran") : steps.index("@hf.operation")]
    text += steps[begin:end]
    if third:
        text = f"from pkg.{third} import moved_along\n" + text.replace(helper, "")
    return {**PROJECT, STEPS: imported, "pkg/elsewhere.py": text, f"pkg/{third or 'third'}.py": helper}


def test_nothing_runs_again_after_no_edit_in_another_process_with_another_hash_seed(
    reruns: dict[str, set[str]],
) -> None:
    assert reruns["nothing"] == set()


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.what)
def test_just_what_an_edit_reaches_runs_again(reruns: dict[str, set[str]], edit: Edit) -> None:
    assert reruns[edit.what] == set(edit.again.split())


def test_an_operation_that_moved_with_what_it_uses_and_kept_its_name_does_not_run_again(
    reruns: dict[str, set[str]],
) -> None:
    assert reruns["moved"] == set()


def test_an_operation_whose_helper_moved_to_a_third_module_runs_again(reruns: dict[str, set[str]]) -> None:
    assert reruns["scattered"] == {"moving"}


def test_the_table_is_long_enough_and_names_every_edit_once() -> None:
    assert len({edit.what for edit in EDITS}) == len(EDITS) >= 80
