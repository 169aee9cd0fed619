"""All problems that the bench compares tools by: GradBench's evals and the workloads that people bring."""

from bench.gradbench.registry import EVALS
from bench.workloads.registry import WORKLOADS

PROBLEMS = {**EVALS, **WORKLOADS}
