"""The suite scaling: the time of a derivative over the size of the problem, for those evals that have one."""

import copy

from bench import comparison

NAMES = ("gmm", "ba", "ht", "kmeans", "llsq", "lse", "lstm", "ode", "det")


def run(options, console):
    """Runs every size; returns whether fastad is right in all of them."""
    options = copy.copy(options)
    options.size = options.size or ("small" if options.quick else "every")
    return comparison.run(options, console, NAMES, "scaling")
