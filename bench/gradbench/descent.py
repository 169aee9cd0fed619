"""Gradient descent as the suite's evals particle and saddle prescribe it, down to when a step counts."""

from fastad import math

TOLERANCE = 1e-5
FIRST_RATE = 1e-5
STEPS_BEFORE_DOUBLING = 10


def argmin(f, gradient, start):
    """Returns a point, a list of numbers, where f is least: f and its gradient are functions of such a list.

    The rate doubles after ten steps down in a row and halves after a step that does not go down; gradients and steps
    that are shorter than 1e-5 end the search.
    """
    x, fx, slope = list(start), f(start), gradient(start)
    rate, steps = FIRST_RATE, 0
    while length(slope) > TOLERANCE:
        if steps == STEPS_BEFORE_DOUBLING:
            rate, steps = 2.0 * rate, 0
            continue
        candidate = [a - rate * b for a, b in zip(x, slope)]
        if length([a - b for a, b in zip(x, candidate)]) <= TOLERANCE:
            break
        value = f(candidate)
        if value < fx:
            x, fx, slope, steps = candidate, value, gradient(candidate), steps + 1
        else:
            rate, steps = 0.5 * rate, 0
    return x


def argmax(f, gradient, start):
    """Returns a point where f is greatest."""
    return argmin(lambda x: -f(x), lambda x: [-slope for slope in gradient(x)], start)


def length(x):
    return math.sqrt(sum(a * a for a in x))


def by_forward(f):
    """Returns the gradient of a function of a list of numbers, one tangent for each."""
    import fastad

    def gradient(x):
        units = [[float(i == j) for j in range(len(x))] for i in range(len(x))]
        return [fastad.jvp(f, (x,), (unit,))[1] for unit in units]

    return gradient


def by_reverse(f):
    """Returns the gradient of a function of a list of numbers by one sweep back."""
    import fastad

    return fastad.grad(f)


BY = {"f": by_forward, "r": by_reverse}
