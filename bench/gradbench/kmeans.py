"""kmeans: the cost of a clustering, and the direction of a Newton step, whose Hessian is diagonal."""

import numpy as np

import fastad
from bench.gradbench.problem import Eval, Function, array


def cost(centroids, points):
    """Returns the sum over points (n, d) of the squared distance to the nearest of centroids (k, d)."""
    squares = np.sum(points**2, axis=1)[:, np.newaxis] + np.sum(centroids**2, axis=1)
    return np.sum(np.min(squares - 2.0 * (points @ centroids.T), axis=1))


def direction(way, centroids, points):
    """Returns the call for gradient over second derivatives: the Hessian times ones is its diagonal."""
    call = way.jvp(lambda c: fastad.grad(cost)(c, points), (centroids,), (np.ones_like(centroids),))

    def step():
        gradient, diagonal = call()
        return gradient / diagonal

    return step


def read(message):
    points = array(message, "points", None, None)
    return array(message, "centroids", None, points.shape[1]), points


def sample(k, n, d):
    points = np.random.default_rng(31337).uniform(size=(n, d)).tolist()
    return {"points": points, "centroids": points[-k:]}


EVAL = Eval(
    name="kmeans",
    functions={
        "cost": Function(lambda way, *arguments: way.value(cost, *arguments), float),
        "dir": Function(direction),
    },
    read=read,
    sample=sample,
    sizes=((5, 200, 4), (10, 1000, 8), (100, 10000, 16)),
    timed="dir",
)
