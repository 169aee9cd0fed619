"""The workloads by name."""

from bench.workloads import arm, basket, heat, language, logistic, lorenz, markov, nbody, options, process

MODULES = (nbody, lorenz, language, logistic, process, options, basket, arm, heat, markov)
WORKLOADS = {module.PROBLEM.name: module.PROBLEM for module in MODULES}
