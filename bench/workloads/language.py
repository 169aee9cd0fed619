"""language: the loss of a recurrent network (LSTM) that predicts the next letter of texts; the gradient by its weights."""

import numpy as np

from bench.workloads.problem import workload


def loss(embedding, weights, bias, output, letters):
    """Returns the mean negative log-likelihood of letters (batch, length), each from the ones before it."""
    batch, length = letters.shape
    size = weights.shape[1] // 4
    hidden, cell, total = np.zeros((batch, size)), np.zeros((batch, size)), 0.0
    for t in range(length - 1):
        gates = np.concatenate([embedding[letters[:, t]], hidden], axis=1) @ weights + bias
        forget, enter, leave = (1.0 / (1.0 + np.exp(-gates[:, k * size : (k + 1) * size])) for k in range(3))
        cell = forget * cell + enter * np.tanh(gates[:, 3 * size :])
        hidden = leave * np.tanh(cell)
        scores = hidden @ output
        scores = scores - np.max(scores, axis=1, keepdims=True)
        chosen = scores[np.arange(batch), letters[:, t + 1]]
        total = total + np.mean(np.log(np.sum(np.exp(scores), axis=1)) - chosen)
    return total / (length - 1)


def sample(batch, length, size):
    rng = np.random.default_rng(2)
    vocabulary = 27
    return (
        0.3 * rng.normal(size=(vocabulary, size)),
        0.2 * rng.normal(size=(2 * size, 4 * size)),
        np.zeros(4 * size),
        0.2 * rng.normal(size=(size, vocabulary)),
        rng.integers(vocabulary, size=(batch, length)),
    )


PROBLEM = workload("language", loss, (0, 1, 2, 3), sample, ((2, 5, 4), (16, 32, 64)))
