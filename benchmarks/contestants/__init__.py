"""One file per contestant: for each workload that it can do, a function of that name.

A function takes a size and a directory, does the work, and returns a number that proves it. What it measures besides the time it
puts into the mapping `notes`. Imports and start-up that a user pays once per process stand in `prepare`.
"""
