"""Measure holdfast beside its peers: the same work, in turn, in one run. `make bench` runs all of it."""
