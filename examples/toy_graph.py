"""The toy graph's four wishes: data, a transformation, checkpoints, looping and parallel data flow. Run it twice."""

import sys

import numpy as np

import holdfast as hf


@hf.operation
def transform(matrix: np.ndarray, factor: float) -> np.ndarray:
    return matrix * factor


@hf.operation
def is_small(state: dict, *, limit: float = 1000.0) -> bool:
    return bool(np.sum(state["columns"]) < limit)


@hf.graph
def grow(state):
    return {"columns": hf.map(transform, state["columns"], factor=[2.0]), "rounds": count(state["rounds"])}


@hf.operation
def count(rounds: int) -> int:
    return rounds + 1


data = hf.Integer64([[1, 2], [3, 4]])  # 1. a basic data node, with its fingerprint
scaled = transform(data, 0.5)  # 2. a basic transformation of it
loop = hf.while_loop(is_small, grow, {"columns": scaled, "rounds": 0}, max_iterations=100)  # 4. loop and parallel map

if __name__ == "__main__":
    with hf.Session(*sys.argv[1:] or ["runs/toy"]) as session:  # 3. what is there already is found again
        print(f"data {data.uid}\nscaled, now {session.status(scaled).value}: {session.result(scaled).tolist()}")
        print(f"loop, now {session.status(loop).value}: {session.result(loop)}")
        print(f"ran {session.counts.done} operations, reused {session.counts.reused} results")
