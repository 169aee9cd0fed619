"""markov: the log-likelihood of observations under a hidden Markov model; the gradient by all its scores."""

import numpy as np

from bench.workloads.problem import workload


def likelihood(start, transition, emission, observations):
    """Returns it by the forward algorithm; scores are logarithms of probabilities up to their sums."""
    start, transition, emission = normalised(start), normalised(transition), normalised(emission)
    state = start + emission[:, observations[0]]
    for seen in observations[1:]:
        state = step(state, transition, emission[:, seen])
    return log_sum_exp(state, 0)


def step(state, transition, scores):
    """Returns the state after an observation that has these scores."""
    return log_sum_exp(state[:, np.newaxis] + transition, 0) + scores


def normalised(scores):
    return scores - np.expand_dims(log_sum_exp(scores, -1), -1)


def log_sum_exp(x, axis):
    largest = np.max(x, axis=axis, keepdims=True)
    return np.log(np.sum(np.exp(x - largest), axis=axis)) + np.squeeze(largest, axis)


def sample(states, symbols, length):
    rng = np.random.default_rng(7)
    scores = rng.normal(size=states), rng.normal(size=(states, states)), rng.normal(size=(states, symbols))
    return *scores, tuple(rng.integers(symbols, size=length).tolist())


PROBLEM = workload("markov", likelihood, (0, 1, 2), sample, ((2, 3, 6), (16, 30, 300)))
