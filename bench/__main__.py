"""`python -m bench` runs a suite of benchmarks; the exit status is 1 where a figure misses its bound or a derivative is wrong."""

import argparse
import importlib
import sys
from pathlib import Path

SUITES = {
    "first": "bench.main_job",
    "arrays": "bench.arrays",
    "programs": "bench.programs",
    "compiled": "bench.compiled",
    "chains": "bench.chains",
    "checkpoints": "bench.checkpointing",
    "products": "bench.products",
    "mapping": "bench.mapping",
    "gradbench": "bench.gradbench.suite",
    "peers": "bench.workloads.suite",
    "scaling": "bench.scaling",
}


def parsed(arguments=None):
    """Returns the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--suite", choices=[*sorted(SUITES), "all"], default="first", help="suite to run (default: first)")
    parser.add_argument("--steps", type=int, help="training steps of the character model")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).parent / "results",
        help="folder for pictures, pages and results (default: bench/results)",
    )
    parser.add_argument("--quick", action="store_true", help="a few steps only, to see that everything runs")
    compared = parser.add_argument_group("suites gradbench, peers and scaling")
    compared.add_argument(
        "--peer", action="append", metavar="NAME", help="a library to compare with, repeatedly (default: all; none: none)"
    )
    compared.add_argument("--problem", action="append", metavar="NAME", help="a problem to run, repeatedly (default: all)")
    compared.add_argument(
        "--size", choices=["small", "full", "every"], help="sizes (default: full; small with --quick; every for scaling)"
    )
    compared.add_argument(
        "--limit", type=float, default=60.0, metavar="SECONDS", help="most that a library gets for a problem (default: 60)"
    )
    compared.add_argument(
        "--data", type=Path, metavar="FOLDER", help="a checkout of GradBench, for its own inputs of ba, ht and lstm"
    )
    compared.add_argument(
        "--json", type=Path, metavar="FILE", help="where the results go (default: SUITE.json beside the pictures)"
    )
    options = parser.parse_args(arguments)
    if options.steps is not None and options.steps < 1:
        parser.error(f"--steps must be at least 1, not {options.steps}")
    if not options.limit > 0.0:
        parser.error(f"--limit must be positive, not {options.limit}")
    from bench.gradbench.tools import TOOLS

    known = {name.lower() for name in TOOLS} | {"none"}
    for peer in options.peer or ():
        if peer.lower() not in known:
            parser.error(f"--peer: there is no {peer}; there are {', '.join(sorted(known))}")
    if options.data is not None and not (options.data / "evals").is_dir():
        parser.error(f"--data: {options.data} has no folder evals")
    return options


def main():
    """Runs the chosen suite: a module whose `run(options, console)` returns whether all bounds are met."""
    options = parsed()
    names = sorted(SUITES) if options.suite == "all" else [options.suite]
    try:
        from rich.console import Console
        suites = [importlib.import_module(SUITES[name]) for name in names]
    except ModuleNotFoundError as error:
        extras = "bench" if options.suite == "first" else "bench,peers"
        print(f"python -m bench needs {error.name}: pip install -e \".[{extras}]\"", file=sys.stderr)
        return 2
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    met = [suite.run(options, console) for suite in suites]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
