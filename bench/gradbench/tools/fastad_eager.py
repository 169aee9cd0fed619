"""The evals by fastad's transforms: every call runs the function."""

from bench.gradbench.problem import Eager
from bench.gradbench.registry import EVALS
from bench.gradbench.tools.fastad_programs import started

PROBLEMS = {name: started(problem, Eager()) for name, problem in EVALS.items()}
UNABLE = {}
