"""GradBench's protocol: one JSON message a line comes in, one answer a line goes out.

A message that can not be answered, whatever is wrong with it, gets an answer with "success" false and an "error".
"""

import json
import time

from bench.gradbench.problem import whole
from bench.gradbench.registry import EVALS


def serve(lines, write, way):
    """Answers every line of JSON by a call of `write` with a line; `way` takes the derivatives."""
    for line in lines:
        if line.strip():
            write(json.dumps(answer(line, way)) + "\n")


def answer(line, way):
    """Returns the answer to a line, a dictionary."""
    identity = None
    try:
        message = json.loads(line)
        if not isinstance(message, dict):
            raise ValueError("a message is an object")
        identity = message.get("id")
        return {"id": identity} | replied(message, way)
    except Exception as error:
        return {"id": identity, "success": False, "error": told(error)}


def told(error):
    """Returns what an exception says, as one text."""
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error}"
    if isinstance(error, KeyError):
        return f"the field {error} is missing"
    return f"{type(error).__name__}: {error}"


def replied(message, way):
    """Returns the part of an answer that follows from a message's kind; kinds without one are acknowledged."""
    match message["kind"]:
        case "start":
            return {"tool": way.name}
        case "define":
            eval_of(message)
            return {"success": True}
        case "evaluate":
            return evaluated(message, way)
        case _:
            return {}


def eval_of(message):
    """Returns the eval of a message; ValueError where there is none of this name."""
    name = message["module"]
    if not isinstance(name, str) or name not in EVALS:
        raise ValueError(f"there is no module {name!r}; there are {', '.join(EVALS)}")
    return EVALS[name]


def evaluated(message, way):
    """Returns output and timings of a function: "record" to the end of the first call, "evaluate" for each of the others."""
    problem = eval_of(message)
    name = message["function"]
    if not isinstance(name, str) or name not in problem.functions:
        raise ValueError(f"{problem.name} has no function {name!r}; it has {', '.join(problem.functions)}")
    function, data = problem.functions[name], message["input"]
    runs, seconds = repetitions(data)
    arguments = problem.read(data)
    start = time.perf_counter_ns()
    call = function.start(way, *arguments)
    result = call()
    timings = [{"name": "record", "nanoseconds": time.perf_counter_ns() - start}]
    elapsed = 0
    while len(timings) <= runs or elapsed < 1e9 * seconds:
        start = time.perf_counter_ns()
        result = call()
        taken = time.perf_counter_ns() - start
        elapsed += taken
        timings.append({"name": "evaluate", "nanoseconds": taken})
    return {"success": True, "output": function.write(result), "timings": timings}


def repetitions(data):
    """Returns how often and for how many seconds at least a function is to run: once where the message does not say."""
    if not isinstance(data, dict):
        return 1, 0.0
    return whole({"min_runs": 1} | data, "min_runs", 1), float(data.get("min_seconds", 0.0))
