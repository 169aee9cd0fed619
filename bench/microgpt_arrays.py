"""The character-level GPT of `bench.microgpt` on arrays: a whole name at once, the parameters a dict of matrices.

Model, parameters, loss and optimizer are those of the scalar form, and its numbers to rounding; only the order of
sums differs. Names of one length give arrays of the same shapes.
"""

import time

import numpy as np

from bench import microgpt
from bench.microgpt import BLOCK, HEAD_WIDTH, HEADS, KEY_SCALE, LEARNING_RATE, NORM_FLOOR, WIDTH
from bench.training import Step

# Added to the scores of attention: a position sees itself and those before it.
CAUSAL = np.triu(np.full((BLOCK, BLOCK), -np.inf), 1)


def tokens_of(name):
    """Returns a name as an array of token numbers, the end token before and after it."""
    return np.array(microgpt.tokens_of(name))


def initial_parameters(seed=42):
    """Returns the weight matrices of the scalar form, a dict of arrays."""
    return {name: np.array(matrix) for name, matrix in microgpt.initial_parameters(seed).items()}


def normalized(x):
    """Returns the rows of x, each divided by its root mean square."""
    return x / np.sqrt(np.mean(x * x, axis=1, keepdims=True) + NORM_FLOOR)


def heads(x):
    """Returns the columns of x in `HEADS` pieces: shape (head, position, width of a head)."""
    return x.reshape(len(x), HEADS, HEAD_WIDTH).swapaxes(0, 1)


def attention(query, key, value):
    """Returns, head by head, the mean of the values so far, weighted by how well their keys fit the query."""
    n = len(query)
    scores = heads(query) @ heads(key).swapaxes(1, 2) / KEY_SCALE + CAUSAL[:n, :n]
    powers = np.exp(scores - np.max(scores, axis=2, keepdims=True))
    weights = powers / np.sum(powers, axis=2, keepdims=True)
    return (weights @ heads(value)).swapaxes(0, 1).reshape(n, WIDTH)


def cross_entropy(scores, chosen):
    """Returns the mean over the rows of -log(probability of the chosen column), in nats."""
    shifted = scores - np.max(scores, axis=1, keepdims=True)
    totals = np.sum(np.exp(shifted), axis=1)
    return np.mean(np.log(totals) - shifted[np.arange(len(chosen)), chosen])


def loss(parameters, tokens):
    """Returns the mean of -log(probability given to the next token) over a name, in nats."""
    given, following = tokens[:-1], tokens[1:]
    x = normalized(parameters["token"][given] + parameters["position"][: len(given)])
    inner = normalized(x)
    attended = attention(inner @ parameters["query"].T, inner @ parameters["key"].T, inner @ parameters["value"].T)
    x = attended @ parameters["mix"].T + x
    hidden = np.maximum(normalized(x) @ parameters["expand"].T, 0.0)
    x = hidden @ parameters["contract"].T + x
    return cross_entropy(x @ parameters["output"].T, following)


class Adam(microgpt.Adam):
    """As of the scalar form; the parameters are arrays, views of one flat array that is updated in place."""

    def __init__(self, parameters):
        self.flat = np.concatenate(list(parameters.values()), axis=None)
        ends = np.cumsum([matrix.size for matrix in parameters.values()])
        parts = np.split(self.flat, ends[:-1])
        self.matrices = {name: part.reshape(parameters[name].shape) for name, part in zip(parameters, parts)}
        self.start()

    def update(self, gradient, rate):
        """Returns the parameters after one step; they and the gradient are dicts of arrays."""
        self.move(np.concatenate([gradient[name] for name in self.matrices], axis=None), rate)
        return self.matrices


def training(derivative, steps, seed=42):
    """Yields `steps` `Step`s of the training of `microgpt.training`.

    `derivative(parameters, tokens)` gives loss and gradient by the parameters.
    """
    examples = [tokens_of(name) for name in microgpt.first_names(seed)]
    adam = Adam(initial_parameters(seed))
    parameters = adam.matrices
    for step in range(steps):
        tokens = examples[step % len(examples)]
        start = time.perf_counter()
        value, gradient = derivative(parameters, tokens)
        middle = time.perf_counter()
        parameters = adam.update(gradient, LEARNING_RATE * (1.0 - step / steps))
        end = time.perf_counter()
        yield Step(value, middle - start, end - start, parameters)
