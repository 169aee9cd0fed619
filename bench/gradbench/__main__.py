"""`python -m bench.gradbench` answers GradBench's messages on standard input by lines on standard output."""

import argparse
import sys

from bench.gradbench.problem import Eager, Recorded
from bench.gradbench.protocol import serve
from bench.peers import one_thread


def main():
    """Serves until the input ends."""
    parser = argparse.ArgumentParser(prog="python -m bench.gradbench", description=__doc__)
    parser.add_argument("--eager", action="store_true", help="run the functions at every call instead of replaying programs")
    options = parser.parse_args()

    def write(line):
        sys.stdout.write(line)
        sys.stdout.flush()

    try:
        with one_thread():
            serve(sys.stdin.buffer, write, Eager() if options.eager else Recorded())
    except (KeyboardInterrupt, BrokenPipeError):
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
