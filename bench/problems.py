"""All problems that the bench compares tools by: GradBench's evals and the workloads that people bring."""

from bench.gradbench.registry import EVALS

PROBLEMS = dict(EVALS)
