"""The evals by fastad, recorded and replayed with common subexpressions left as they are: of det, every term of the expansion."""

from bench.gradbench.tools.fastad_programs import PROBLEMS, UNABLE
from fastad.core import schedule

__all__ = ["PROBLEMS", "UNABLE"]

schedule.switch(common=False)
