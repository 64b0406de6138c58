"""What is measured, and what each goal compares: one function for each workload, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.goals import (
    NUMPY,
    Goal,
    Samples,
    Workload,
    at_most,
    faster,
    longer,
    ours,
    per_item,
    plain,
)
from benchmarks.measure import Step


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is done."""

    many: int
    """Tasks of holdfast."""
    peer: int
    """Tasks of peers that are slower at a large size than at a small one, and steps of a chain."""
    million: int
    arrays: int
    seconds: int
    """How long a coordinator is watched while it waits."""


FULL = Sizes(many=100_000, peer=10_000, million=1_000_000, arrays=24, seconds=20)
QUICK = Sizes(many=10_000, peer=1_000, million=10_000, arrays=6, seconds=4)


def workloads(quick: bool) -> tuple[Workload, ...]:
    """Return all workloads; a tenth of the size, and without the million, if it must be quick."""
    return tuple(describe(QUICK if quick else FULL) for describe in ALL)


def cold_map(sizes: Sizes) -> Workload:
    """W1: a map of trivial tasks, cold."""
    many, peer = sizes.many, sizes.peer
    return Workload(
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
    )


def map_on_processes(sizes: Sizes) -> Workload:
    """W1: the same on two worker processes."""
    beside = "cold, processes, against joblib.Parallel, which keeps nothing"
    return Workload(
        "W1-processes",
        f"{sizes.many} trivial tasks on two processes, cold",
        (
            ours("holdfast", "tasks_on_processes", sizes.many),
            Step("joblib.Parallel", "joblib_parallel", "tasks_on_processes", sizes.many),
        ),
        (Goal(beside, 0.4, faster("holdfast", "joblib.Parallel")),),
    )


def map_of_a_million(sizes: Sizes) -> Workload:
    """W1: a map of a million, and warm reruns of several widths."""
    many, million = sizes.many, sizes.million
    return Workload(
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
            at_most("memory per task", 200, per_item("cold, million", "memory"), unit="bytes"),
            at_most("warm, 1000, whole process, against import numpy", 3, longer("warm, small", NUMPY.label)),
            at_most(f"warm, {many}, whole process, against import numpy", 3, longer("warm", NUMPY.label)),
            at_most(f"warm, {million}, whole process, against import numpy", 3, longer("warm, million", NUMPY.label)),
        ),
        rounds=2,
    )


def half_done_map(sizes: Sizes) -> Workload:
    """W1: a map of which every second member is done."""
    many, peer = sizes.many, sizes.peer
    return Workload(
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
    )


def separate_nodes(sizes: Sizes) -> Workload:
    """W1: separate nodes instead of a map."""
    many, peer = sizes.many, sizes.peer
    return Workload(
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
            at_most("memory of a node", 1536, per_item("nodes alone", "memory"), unit="bytes"),
        ),
    )


def chain(sizes: Sizes) -> Workload:
    """W2: dependent steps, as nodes and as loops."""
    steps = sizes.peer
    restart = f"restart of a while_loop at round {steps} against round 10, whole process"
    return Workload(
        "W2",
        f"a chain of {steps} dependent steps",
        (
            NUMPY,
            ours("nodes", "chain", steps),
            ours("loop cold", "loop", steps, "loop"),
            ours("loop warm", "loop", steps, "loop"),
            ours("10 rounds", "restart", 10, "short"),
            ours("10 rounds and one", "restart", 11, "short"),
            ours("many rounds", "restart", steps, "long"),
            ours("many rounds and one", "restart", steps + 1, "long"),
            Step("joblib.Memory", "joblib_memory", "chain", steps // 10 * 3),
            Step("Dask threads", "dask_threads", "chain", steps),
            Step("Parsl threads", "parsl_threads", "chain", steps // 10),
        ),
        (
            Goal("chain of nodes, cold, against joblib.Memory", 2.5, faster("nodes", "joblib.Memory")),
            Goal("chain of nodes, cold, against Dask threads", 8, faster("nodes", "Dask threads")),
            Goal("fori_loop, cold, against joblib.Memory", 2.5, faster("loop cold", "joblib.Memory")),
            Goal("fori_loop, cold, against Dask threads", 8, faster("loop cold", "Dask threads")),
            at_most("fori_loop, warm, whole process, against import numpy", 3, longer("loop warm", NUMPY.label)),
            at_most(restart, 1.5, longer("many rounds and one", "10 rounds and one")),
        ),
    )


def tree(sizes: Sizes) -> Workload:
    """W3: a sum by pairs; of one size, since Dask gets slower with more and joblib does not."""
    return Workload(
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
    )


def large_arrays(sizes: Sizes) -> Workload:
    """W4: large arrays, made, transformed and read."""
    count = sizes.arrays
    reading = longer("holdfast warm", "numpy.load mapped", "touch seconds")
    asking = longer("holdfast warm", "numpy.load mapped", "seconds")
    return Workload(
        "W4",
        f"{count} arrays of 32 MiB, made and transformed",
        (
            ours("holdfast cold", "arrays", count, "ours"),
            ours("holdfast warm", "arrays", count, "ours"),
            Step("numpy.save + fsync", "numpy_save", "arrays", count, "plain"),
            Step("numpy.load mapped", "numpy_save", "arrays", count, "plain"),
            Step("joblib.Memory", "joblib_memory", "arrays", count),
        ),
        (
            Goal("arrays, cold, against numpy.save and fsync", 0.9, faster("holdfast cold", "numpy.save + fsync")),
            at_most("arrays, warm, reading mapped, against numpy.load", 1.05, reading),
            at_most(
                "arrays, warm, compared with their digests and read, against numpy.load, which does not", 1.05, asking
            ),
            Goal("arrays, cold, against joblib.Memory", 1, faster("holdfast cold", "joblib.Memory")),
        ),
    )


def short_tasks(sizes: Sizes) -> Workload:
    """W5: tasks of a millisecond on two worker processes."""
    count = sizes.peer // 2
    alone = f"import time\nfor _ in range({count}):\n time.sleep(0.001)"
    return Workload(
        "W5",
        f"{count} tasks of 1 ms on two processes",
        (ours("naps", "naps", count), Step("the naps alone", command=("-c", alone))),
        (Goal("share of the ideal", 0.95, _share_of_ideal),),
    )


def starts(sizes: Sizes) -> Workload:
    """W6: imports and first results."""
    return Workload(
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
            at_most("import holdfast against import joblib", 0.5, longer("import holdfast", "import joblib")),
            at_most("holdfast --version against import numpy", 1, longer("holdfast --version", NUMPY.label)),
            at_most("first result against import numpy", 3, longer("first result", NUMPY.label)),
        ),
        rounds=7,
    )


def full_directory(sizes: Sizes) -> Workload:
    """W7 and W8: a directory with a million results beside one with ten."""
    asked = [ours(f"ask one of {size}", "first_result", 5, size) for size in ("ten", "million")]
    told = [
        Step(f"status of {size}", keep=size, command=("-m", "holdfast.cli.main", "status", "--work", "{work}"))
        for size in ("ten", "million")
    ]
    return Workload(
        "W7-W8",
        f"a directory with {sizes.million} results against one with 10",
        (
            ours("fill ten", "tasks_in_process", 10, "ten"),
            ours("fill million", "tasks_in_process", sizes.million, "million"),
            *(asked[0], told[0], asked[1], told[1]),
        ),
        (
            at_most("ask one, whole process", 2, longer("ask one of million", "ask one of ten")),
            at_most("holdfast status, whole process", 3, longer("status of million", "status of ten")),
        ),
        rounds=2,
    )


def idle(sizes: Sizes) -> Workload:
    """W9: a coordinator that waits."""
    share = plain("waiting", "share of a core", 100.0)
    return Workload(
        "W9",
        "a coordinator that waits for a long task",
        (ours("waiting", "waiting", sizes.seconds),),
        (
            at_most("processor time while waiting", 0.5, share, unit="% of a core"),
            at_most("wake-ups while waiting", 10, plain("waiting", "wake-ups per second"), unit="a second"),
        ),
        rounds=1,
    )


ALL: tuple[Callable[[Sizes], Workload], ...] = (
    cold_map, map_on_processes, map_of_a_million, half_done_map, separate_nodes, chain, tree, large_arrays, short_tasks, starts,
    full_directory, idle,
)  # fmt: skip
"""Every workload, in the order in which they run."""


def _finding_out(samples: Samples, number: int) -> float:
    """How much faster it is to find out whether a member is missing than joblib's warm hit."""
    half, whole, warm = (samples[label] for label in ("half done", "cold", "joblib.Memory warm"))
    looking = half.rounds[number]["seconds"] - half.step.size / 2 * whole.rounds[number]["seconds"] / whole.step.size
    hit = warm.rounds[number]["seconds"] / warm.step.size
    return hit / max(looking / half.step.size, 1e-7)


def _share_of_ideal(samples: Samples, number: int) -> float:
    """Half of what the naps take alone, since there are two workers, over what they took."""
    ideal = samples["the naps alone"].rounds[number]["whole"] / 2
    return ideal / samples["naps"].rounds[number]["inner seconds"]
