"""micrograd's own demo, a perceptron that tells two half-moons apart, on micrograd and on plain numbers.

The network (two hidden layers of 16 ReLU units), the loss (hinge and squared weights, all 100 points at every
step) and the falling learning rate are those of demo.ipynb in github.com/karpathy/micrograd. Both runs start
from the weights that micrograd draws, and sum in the same order.
"""

import contextlib
import random
import sys
import time
from operator import mul

from micrograd.engine import Value
from micrograd.nn import MLP
from sklearn.datasets import make_moons

from bench.training import Step

SIZES = (2, 16, 16, 1)
POINTS = 100
NOISE = 0.1
WEIGHT_PENALTY = 1e-4
SEED = 1337
DEMO_STEPS = 100


def points_and_labels():
    """Returns 100 points as pairs of floats and their labels, -1.0 or 1.0, the same at every call."""
    points, classes = make_moons(n_samples=POINTS, noise=NOISE, random_state=SEED)
    return points.tolist(), (2.0 * classes - 1.0).tolist()


def micrograd_model():
    """Returns micrograd's perceptron with weights drawn from `SEED`, Python's generator left as it was."""
    state = random.getstate()
    random.seed(SEED)
    try:
        return MLP(SIZES[0], list(SIZES[1:]))
    finally:
        random.setstate(state)


def parameters_of(model):
    """Returns a micrograd perceptron's numbers: one dict of `weights` (rows) and `biases` per layer."""
    return [
        {
            "weights": [[weight.data for weight in neuron.w] for neuron in layer.neurons],
            "biases": [float(neuron.b.data) for neuron in layer.neurons],
        }
        for layer in model.layers
    ]


def rectified(numbers):
    """Returns the numbers with zero in place of those below it."""
    return [x if x > 0.0 else 0.0 for x in numbers]


def score(parameters, point):
    """Returns the perceptron's score of a point: its sign is the class, its size the certainty."""
    *hidden, last = parameters
    signals = point
    for layer in hidden:
        signals = rectified(weighted_sums(layer, signals))
    return weighted_sums(last, signals)[0]


def weighted_sums(layer, signals):
    """Returns each unit's bias plus the sum of its weights times the signals."""
    return [sum(map(mul, weights, signals), bias) for weights, bias in zip(layer["weights"], layer["biases"])]


def loss(parameters, points, labels):
    """Returns the mean hinge loss of the points plus 1e-4 times the sum of squared weights and biases."""
    margins = [1.0 - label * score(parameters, point) for point, label in zip(points, labels)]
    hinges = rectified(margins)
    squares = sum(number * number for layer in parameters for number in numbers_of(layer))
    return sum(hinges) * (1.0 / len(hinges)) + WEIGHT_PENALTY * squares


def numbers_of(layer):
    """Yields the weights and biases of a layer, unit by unit."""
    for weights, bias in zip(layer["weights"], layer["biases"]):
        yield from weights
        yield bias


def learning_rate(step):
    """Returns the rate of the demo's gradient descent: 1 at the first step, 0.1 at the hundredth."""
    return 1.0 - 0.9 * step / 100


def descended(parameters, gradient, rate):
    """Returns the parameters moved against the gradient by `rate` times it."""
    return [
        {
            "weights": [
                [number - rate * slope for number, slope in zip(row, slopes)]
                for row, slopes in zip(layer["weights"], slope_layer["weights"])
            ],
            "biases": [
                number - rate * slope for number, slope in zip(layer["biases"], slope_layer["biases"])
            ],
        }
        for layer, slope_layer in zip(parameters, gradient)
    ]


def training(value_and_grad, steps):
    """Yields `steps` `Step`s; `value_and_grad(f)` must give f's value and gradient by its first argument."""
    points, labels = points_and_labels()
    parameters = parameters_of(micrograd_model())
    derivative = value_and_grad(loss)
    for step in range(steps):
        start = time.perf_counter()
        value, gradient = derivative(parameters, points, labels)
        middle = time.perf_counter()
        parameters = descended(parameters, gradient, learning_rate(step))
        end = time.perf_counter()
        yield Step(value, middle - start, end - start, parameters)


def micrograd_training(steps):
    """Yields `steps` `Step`s of the demo on micrograd's own values and perceptron."""
    points, labels = points_and_labels()
    model = micrograd_model()
    for step in range(steps):
        start = time.perf_counter()
        value = micrograd_gradient(model, points, labels)
        middle = time.perf_counter()
        for parameter in model.parameters():
            parameter.data -= learning_rate(step) * parameter.grad
        end = time.perf_counter()
        yield Step(value, middle - start, end - start, parameters_of(model))


def micrograd_gradient(model, points, labels):
    """Returns the loss as a float and leaves the gradient in the parameters of the model."""
    total = micrograd_loss(model, points, labels)
    model.zero_grad()
    with deep_recursion():
        total.backward()
    return total.data


def micrograd_loss(model, points, labels):
    """Returns the loss as a micrograd value."""
    scores = [model(list(map(Value, point))) for point in points]
    hinges = [(1 + -label * scored).relu() for label, scored in zip(labels, scores)]
    squares = sum(parameter * parameter for parameter in model.parameters())
    return sum(hinges) * (1.0 / len(hinges)) + WEIGHT_PENALTY * squares


@contextlib.contextmanager
def deep_recursion(limit=10_000):
    """Raises Python's recursion limit inside the block: micrograd's sort of its values is recursive."""
    previous = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, previous))
    try:
        yield
    finally:
        sys.setrecursionlimit(previous)


def accuracy(parameters):
    """Returns the share of the points (between 0 and 1) whose class the perceptron tells rightly."""
    points, labels = points_and_labels()
    hits = [(score(parameters, point) > 0.0) == (label > 0.0) for point, label in zip(points, labels)]
    return sum(hits) / len(hits)
