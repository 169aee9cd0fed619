"""The evals by fastad, recorded with `fast_math` and replayed: exp, log, sin, cos and tanh of arrays to 4 units in the last place."""

from bench import problems
from bench.gradbench.problem import Recorded
from bench.gradbench.tools.fastad_programs import started

PROBLEMS = {name: started(problem, Recorded(fast_math=True)) for name, problem in problems.PROBLEMS.items()}
UNABLE = {}
