"""Runs schedules in a process of its own, for comparison with others: prints the digest of each log."""

import sys

from tests.simulation.world import run

if __name__ == "__main__":
    for seed in range(int(sys.argv[1])):
        sys.stdout.write(run(seed) + "\n")
