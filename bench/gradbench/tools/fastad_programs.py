"""The problems by fastad, recorded and replayed."""

from bench import problems
from bench.gradbench.problem import Recorded


def started(problem, way):
    """Returns a function of an eval's arguments that starts its timed function."""
    return lambda *arguments: problem.functions[problem.timed].start(way, *arguments)


PROBLEMS = {name: started(problem, Recorded()) for name, problem in problems.PROBLEMS.items()}
UNABLE = {}
