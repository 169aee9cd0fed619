"""`python -m bench` runs a suite of benchmarks; the exit status is 1 where a figure misses its bound."""

import argparse
import importlib
import sys
from pathlib import Path

SUITES = {"first": "bench.main_job", "arrays": "bench.arrays", "programs": "bench.programs"}


def parsed(arguments=None):
    """Returns the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--suite", choices=sorted(SUITES), default="first", help="suite to run (default: first)"
    )
    parser.add_argument("--steps", type=int, help="training steps of the character model")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).parent / "results",
        help="folder for the pictures (default: bench/results)",
    )
    parser.add_argument("--quick", action="store_true", help="a few steps only, to see that everything runs")
    options = parser.parse_args(arguments)
    if options.steps is not None and options.steps < 1:
        parser.error(f"--steps must be at least 1, not {options.steps}")
    return options


def main():
    """Runs the chosen suite: a module whose `run(options, console)` returns whether all bounds are met."""
    options = parsed()
    try:
        suite = importlib.import_module(SUITES[options.suite])
        from rich.console import Console
    except ModuleNotFoundError as error:
        extras = "bench,peers" if options.suite == "arrays" else "bench"
        print(f"python -m bench needs {error.name}: pip install -e \".[{extras}]\"", file=sys.stderr)
        return 2
    return 0 if suite.run(options, Console()) else 1


if __name__ == "__main__":
    sys.exit(main())
