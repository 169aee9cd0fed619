"""The evals by name, in the suite's order."""

from bench.gradbench import ba, det, gmm, hello, ht, kmeans, llsq, lse, lstm, ode, particle, saddle

MODULES = (hello, gmm, ba, ht, kmeans, llsq, lse, lstm, ode, det, particle, saddle)
EVALS = {module.EVAL.name: module.EVAL for module in MODULES}
