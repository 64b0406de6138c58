"""What is measured, and what each goal compares: one entry per line of the table of goals.

A goal is a ratio within one run. `better` says which way it must lie.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.measure import Sample, Step

Samples = Mapping[str, Sample]

NUMPY = Step("import numpy", command=("-c", "import numpy"))
HOLDFAST = "holdfast_session"


@dataclass(frozen=True, slots=True)
class Goal:
    """One comparison."""

    text: str
    wanted: float
    measure: Callable[[Samples, int], float]
    """Takes the samples and the number of the round, returns the figure of that round."""
    at_least: bool = True
    """Whether the figure must be at least, or at most, what is wanted."""
    unit: str = "×"


@dataclass(frozen=True, slots=True)
class Workload:
    """Steps that are measured in turn, and the goals that compare them."""

    name: str
    title: str
    steps: tuple[Step, ...]
    goals: tuple[Goal, ...]
    rounds: int = 3


def rate(samples: Samples, label: str, number: int, share: float = 1.0) -> float:
    """Return tasks per second of one round."""
    sample = samples[label]
    return share * sample.step.size / sample.rounds[number]["seconds"]


def faster(label: str, other: str, share: float = 1.0) -> Callable[[Samples, int], float]:
    """Return the ratio of two rates."""
    return lambda samples, number: rate(samples, label, number, share) / rate(samples, other, number)


def longer(label: str, other: str, figure: str = "whole") -> Callable[[Samples, int], float]:
    """Return the ratio of two times."""
    return lambda samples, number: samples[label].rounds[number][figure] / samples[other].rounds[number][figure]


def per_item(label: str, figure: str) -> Callable[[Samples, int], float]:
    """Return a figure for each task."""
    return lambda samples, number: samples[label].rounds[number][figure] / samples[label].step.size


def plain(label: str, figure: str, factor: float = 1.0) -> Callable[[Samples, int], float]:
    """Return a figure as it is."""
    return lambda samples, number: factor * samples[label].rounds[number][figure]


def ours(label: str, workload: str, size: int, keep: str = "") -> Step:
    """Return a step of holdfast."""
    return Step(label, HOLDFAST, workload, size, keep)


def _finding_out(samples: Samples, number: int) -> float:
    """How much faster it is to find out whether a member is missing than joblib's warm hit."""
    half, whole, warm = (samples[label] for label in ("half done", "cold", "joblib.Memory warm"))
    looking = half.rounds[number]["seconds"] - half.step.size / 2 * whole.rounds[number]["seconds"] / whole.step.size
    hit = warm.rounds[number]["seconds"] / warm.step.size
    return hit / max(looking / half.step.size, 1e-7)


def workloads(quick: bool) -> tuple[Workload, ...]:
    """Return all workloads; a tenth of the size, and without the million, if it must be quick."""
    part = 10 if quick else 1
    many, peer = 100_000 // part, 10_000 // part
    million = many if quick else 1_000_000
    return (
        Workload(
            "W1-cold",
            f"{many} trivial tasks, cold (peers: {peer}, where they are faster than at {many})",
            (
                ours("holdfast", "tasks_in_process", many),
                Step("joblib.Memory", "joblib_memory", "tasks_in_process", peer),
                Step("Parsl threads", "parsl_threads", "tasks_in_process", peer),
                Step("Dask threads", "dask_threads", "tasks_in_process", peer),
                Step("Ray", "ray_tasks", "tasks_in_process", peer),
                Step("redun", "redun_scheduler", "tasks_in_process", peer // 10),
            ),
            (
                Goal("cold, in process, against joblib.Memory", 12, faster("holdfast", "joblib.Memory")),
                Goal("cold, in process, against Parsl threads", 8, faster("holdfast", "Parsl threads")),
                Goal("cold, in process, against Ray, which keeps nothing", 1, faster("holdfast", "Ray")),
                Goal("cold, in process, against redun", 1, faster("holdfast", "redun")),
            ),
        ),
        Workload(
            "W1-processes",
            f"{many} trivial tasks on two processes, cold",
            (
                ours("holdfast", "tasks_on_processes", many),
                Step("joblib.Parallel", "joblib_parallel", "tasks_on_processes", many),
            ),
            (
                Goal(
                    "cold, processes, against joblib.Parallel, which keeps nothing",
                    0.4,
                    faster("holdfast", "joblib.Parallel"),
                ),
            ),
        ),
        Workload(
            "W1-million",
            f"{million} trivial tasks, cold, and warm reruns of several widths as whole processes",
            (
                NUMPY,
                ours("cold, small", "tasks_in_process", 1_000, "small"),
                ours("warm, small", "tasks_in_process", 1_000, "small"),
                ours("cold", "tasks_in_process", many, "many"),
                ours("warm", "tasks_in_process", many, "many"),
                ours("cold, million", "tasks_in_process", million, "million"),
                ours("warm, million", "tasks_in_process", million, "million"),
            ),
            (
                Goal(f"rate at {million} against {many}", 0.7, faster("cold, million", "cold")),
                Goal("memory per task", 200, per_item("cold, million", "memory"), at_least=False, unit="bytes"),
                Goal(
                    "warm, 1000, whole process, against import numpy",
                    3,
                    longer("warm, small", NUMPY.label),
                    at_least=False,
                ),
                Goal(
                    f"warm, {many}, whole process, against import numpy", 3, longer("warm", NUMPY.label), at_least=False
                ),
                Goal(
                    f"warm, {million}, whole process, against import numpy",
                    3,
                    longer("warm, million", NUMPY.label),
                    at_least=False,
                ),
            ),
            rounds=2,
        ),
        Workload(
            "W1-half",
            f"{many} trivial tasks of which every second is done",
            (
                ours("cold", "tasks_in_process", many),
                ours("every second", "every_second_task", many, "half"),
                ours("half done", "tasks_in_process", many, "half"),
                Step("joblib.Memory cold", "joblib_memory", "tasks_in_process", peer, "joblib"),
                Step("joblib.Memory warm", "joblib_memory", "tasks_in_process", peer, "joblib"),
            ),
            (
                Goal("the missing half, at the cold rate", 1, faster("half done", "cold", 0.5)),
                Goal("finding out what is missing, a member, against joblib's warm hit", 30, _finding_out),
            ),
        ),
        Workload(
            "W1-nodes",
            f"{many} separate nodes made in a Python loop",
            (
                ours("holdfast cold", "nodes", many, "nodes"),
                ours("holdfast warm", "nodes", many, "nodes"),
                ours("nodes alone", "build_nodes", many),
                Step("joblib.Memory cold", "joblib_memory", "nodes", peer, "joblib"),
                Step("joblib.Memory warm", "joblib_memory", "nodes", peer, "joblib"),
            ),
            (
                Goal("separate nodes, cold, against joblib.Memory", 4, faster("holdfast cold", "joblib.Memory cold")),
                Goal("separate nodes, warm, against joblib.Memory", 6, faster("holdfast warm", "joblib.Memory warm")),
                Goal("memory of a node", 1536, per_item("nodes alone", "memory"), at_least=False, unit="bytes"),
            ),
        ),
        Workload(
            "W2",
            f"a chain of {peer} dependent steps",
            (
                NUMPY,
                ours("nodes", "chain", peer),
                ours("loop cold", "loop", peer, "loop"),
                ours("loop warm", "loop", peer, "loop"),
                ours("10 rounds", "restart", 10, "short"),
                ours("10 rounds and one", "restart", 11, "short"),
                ours("many rounds", "restart", peer, "long"),
                ours("many rounds and one", "restart", peer + 1, "long"),
                Step("joblib.Memory", "joblib_memory", "chain", peer // 10 * 3),
                Step("Dask threads", "dask_threads", "chain", peer),
                Step("Parsl threads", "parsl_threads", "chain", peer // 10),
            ),
            (
                Goal("chain of nodes, cold, against joblib.Memory", 2.5, faster("nodes", "joblib.Memory")),
                Goal("chain of nodes, cold, against Dask threads", 8, faster("nodes", "Dask threads")),
                Goal("fori_loop, cold, against joblib.Memory", 2.5, faster("loop cold", "joblib.Memory")),
                Goal("fori_loop, cold, against Dask threads", 8, faster("loop cold", "Dask threads")),
                Goal(
                    "fori_loop, warm, whole process, against import numpy",
                    3,
                    longer("loop warm", NUMPY.label),
                    at_least=False,
                ),
                Goal(
                    f"restart of a while_loop at round {peer} against round 10, whole process",
                    1.5,
                    longer("many rounds and one", "10 rounds and one"),
                    at_least=False,
                ),
            ),
        ),
        Workload(
            "W3",
            "a binary tree of 4096 leaves",
            (
                ours("holdfast", "tree", 4096),
                Step("joblib.Memory", "joblib_memory", "tree", 4096),
                Step("Dask threads", "dask_threads", "tree", 4096),
                Step("Parsl threads", "parsl_threads", "tree", 4096),
            ),
            (
                Goal("tree, cold, against joblib.Memory", 6, faster("holdfast", "joblib.Memory")),
                Goal("tree, cold, against Dask threads", 4, faster("holdfast", "Dask threads")),
            ),
        ),
        Workload(
            "W4",
            f"{24 // (4 if quick else 1)} arrays of 32 MiB, made and transformed",
            (
                ours("holdfast cold", "arrays", 24 // (4 if quick else 1), "ours"),
                ours("holdfast warm", "arrays", 24 // (4 if quick else 1), "ours"),
                Step("numpy.save + fsync", "numpy_save", "arrays", 24 // (4 if quick else 1), "plain"),
                Step("numpy.load mapped", "numpy_save", "arrays", 24 // (4 if quick else 1), "plain"),
                Step("joblib.Memory", "joblib_memory", "arrays", 24 // (4 if quick else 1)),
            ),
            (
                Goal("arrays, cold, against numpy.save and fsync", 0.9, faster("holdfast cold", "numpy.save + fsync")),
                Goal(
                    "arrays, warm, reading mapped, against numpy.load",
                    1.05,
                    longer("holdfast warm", "numpy.load mapped", "touch seconds"),
                    at_least=False,
                ),
                Goal("arrays, cold, against joblib.Memory", 1, faster("holdfast cold", "joblib.Memory")),
            ),
        ),
        Workload(
            "W5",
            f"{peer // 2} tasks of 1 ms on two processes",
            (ours("naps", "naps", peer // 2), Step("the naps alone", command=("-c", _NAPS.format(peer // 2)))),
            (
                Goal(
                    "share of the ideal",
                    0.95,
                    lambda samples, number: (
                        samples["the naps alone"].rounds[number]["whole"]
                        / 2
                        / samples["naps"].rounds[number]["inner seconds"]
                    ),
                ),
            ),
        ),
        Workload(
            "W6",
            "imports and first results, whole processes",
            (
                Step("bare", command=("-c", "pass")),
                NUMPY,
                Step("import holdfast", command=("-c", "import holdfast")),
                Step("import joblib", command=("-c", "import joblib")),
                Step("holdfast --version", command=("-m", "holdfast.cli.main", "--version")),
                ours("first result", "first_result", 1),
                Step("first result, joblib", "joblib_memory", "first_result", 1),
            ),
            (
                Goal(
                    "import holdfast against import joblib",
                    0.5,
                    longer("import holdfast", "import joblib"),
                    at_least=False,
                ),
                Goal(
                    "holdfast --version against import numpy",
                    1,
                    longer("holdfast --version", NUMPY.label),
                    at_least=False,
                ),
                Goal("first result against import numpy", 3, longer("first result", NUMPY.label), at_least=False),
            ),
            rounds=7,
        ),
        Workload(
            "W7-W8",
            f"a directory with {million} results against one with 10",
            (
                ours("fill ten", "tasks_in_process", 10, "ten"),
                ours("fill million", "tasks_in_process", million, "million"),
                *(
                    step
                    for size in ("ten", "million")
                    for step in (
                        ours(f"ask one of {size}", "first_result", 5, size),
                        Step(
                            f"status of {size}",
                            keep=size,
                            command=("-m", "holdfast.cli.main", "status", "--work", "{work}"),
                        ),
                    )
                ),
            ),
            (
                Goal("ask one, whole process", 2, longer("ask one of million", "ask one of ten"), at_least=False),
                Goal("holdfast status, whole process", 3, longer("status of million", "status of ten"), at_least=False),
            ),
            rounds=2,
        ),
        Workload(
            "W9",
            "a coordinator that waits for a long task",
            (ours("waiting", "waiting", 4 if quick else 20),),
            (
                Goal(
                    "processor time while waiting",
                    0.5,
                    plain("waiting", "share of a core", 100.0),
                    at_least=False,
                    unit="% of a core",
                ),
                Goal(
                    "wake-ups while waiting",
                    10,
                    plain("waiting", "wake-ups per second"),
                    at_least=False,
                    unit="a second",
                ),
            ),
            rounds=1,
        ),
    )


_NAPS = "import time\nfor _ in range({}):\n time.sleep(0.001)"
