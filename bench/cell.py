"""One tool on one problem in a process of its own: `python -m bench.cell TOOL PROBLEM SIZE FOLDER` leaves its figures there.

SIZE is JSON: a list, the size of a made-up input, or text, the path of a file with a message of the problem's form.
The process says on its standard output when figures are there, and measures once more for each line it then gets.
"""

import contextlib
import gc
import json
import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np

CALLS, SECONDS, BLOCK = 1000, 0.5, 0.05
READY = "figures are there"


def measured(tool, name, size, one_thread):
    """Returns figures, seconds and bytes, the numbers of the result, and the call, None where the tool has not the problem.

    `one_thread`, an ExitStack, keeps the libraries that are loaded by then to one thread until it is closed.
    """
    from bench.gradbench.tools import TOOLS, load

    figures, start = {}, time.perf_counter()
    if library := TOOLS[tool].library:
        import_module(library)
    figures["import"] = time.perf_counter() - start
    from bench import peers
    from bench.problems import PROBLEMS

    problem = PROBLEMS[name]
    message = json.loads(Path(size).read_text()) if isinstance(size, str) else problem.sample(*size)
    arguments = problem.read(message)
    del message
    module = load(tool, name)
    if name not in module.PROBLEMS:
        return {"skipped": module.UNABLE.get(name, "not written")}, np.empty(0), None
    one_thread.enter_context(peers.one_thread())
    before = memory("VmRSS")
    start = time.perf_counter()
    call = module.PROBLEMS[name](*arguments)
    figures["record"] = time.perf_counter() - start
    start = time.perf_counter()
    result = call()
    figures["first"] = time.perf_counter() - start
    figures["later"], figures["cpu"] = best(call)
    figures["memory"] = memory("VmHWM") - before
    return figures, flattened(problem, result), call


def best(call):
    """Returns the least seconds of up to CALLS calls in about SECONDS seconds, and their least processor seconds.

    Processor time is what a machine that does other work as well leaves comparable; it is that of BLOCK seconds of calls together,
    as threads of a library may report theirs late.
    """
    gc.collect()
    gc.disable()
    least, least_cpu, calls, begin = float("inf"), float("inf"), 0, time.perf_counter()
    while calls < 1 or (calls < CALLS and time.perf_counter() - begin < SECONDS):
        block, count, start_cpu = time.perf_counter(), 0, time.process_time()
        while count == 0 or time.perf_counter() - block < BLOCK:
            start = time.perf_counter()
            call()
            least, count = min(least, time.perf_counter() - start), count + 1
        least_cpu, calls = min(least_cpu, (time.process_time() - start_cpu) / count), calls + count
    return least, least_cpu


def flattened(problem, result):
    """Returns the numbers of a result of any tool in the order of fastad's."""
    if problem.name == "ba" and len(result) == 3:
        return np.asarray(result[2], dtype=float)
    from bench.gradbench.problem import leaves

    return np.concatenate([np.ravel(np.asarray(part, dtype=float)) for part in leaves(result)])


def memory(field):
    """Returns a figure of this process's memory in bytes, 0 where the operating system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(field)), 0)


def main():
    tool, name, size, folder = sys.argv[1:]
    # What libraries print is for nobody.
    answers, sys.stdout = sys.stdout, sys.stderr
    with contextlib.ExitStack() as one_thread:
        figures, result, call = measured(tool, name, json.loads(size), one_thread)
        np.save(Path(folder) / "result.npy", result)
        leave(figures, folder, answers)
        for _ in sys.stdin:
            later, cpu = best(call)
            figures["later"], figures["cpu"] = min(figures["later"], later), min(figures["cpu"], cpu)
            leave(figures, folder, answers)


def leave(figures, folder, answers):
    """Writes figures and says so."""
    (Path(folder) / "figures.json").write_text(json.dumps(figures))
    print(READY, file=answers, flush=True)


if __name__ == "__main__":
    main()
