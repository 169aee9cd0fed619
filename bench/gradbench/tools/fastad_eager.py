"""The problems by fastad's transforms: every call runs the function."""

from bench import problems
from bench.gradbench.problem import Eager
from bench.gradbench.tools.fastad_programs import started

PROBLEMS = {name: started(problem, Eager()) for name, problem in problems.PROBLEMS.items()}
UNABLE = {}
