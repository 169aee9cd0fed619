"""The evals by autograd, with its own NumPy."""

import math
from types import SimpleNamespace

import autograd
import autograd.numpy as anp
import numpy as np
from autograd import make_vjp

from bench.gradbench import ba, descent, det, hello, kmeans, llsq, lse, lstm, ode, particle, saddle
from bench.gradbench.problem import Eager
from bench.peers import module_on, on_namespace


def gradient(function, count, *arguments):
    """Returns the call for the gradients of a function by its first `count` arguments."""
    derivative = autograd.grad(function, tuple(range(count)))
    return lambda: derivative(*arguments)


def gmm(alpha, mu, q, l, x, m, gamma):
    n, d = x.shape
    k = len(alpha)
    freedom = d + m + 1
    columns, rows = np.triu_indices(d, 1)
    places = np.zeros((d, d), int)
    places[rows, columns] = np.arange(len(rows))
    below = np.tril(np.ones((d, d)), -1)
    constant = freedom * d * math.log(gamma / math.sqrt(2.0)) - 0.25 * d * (d - 1) * math.log(math.pi)
    constant -= sum(math.lgamma(0.5 * (freedom - j)) for j in range(d))

    def log_sum_exp(x):
        largest = anp.max(x, axis=0)
        return largest + anp.log(anp.sum(anp.exp(x - largest), axis=0))

    def objective(alpha, mu, q, l):
        factors = anp.exp(q)[:, :, None] * np.eye(d)
        if d > 1:
            factors = factors + l[:, places] * below
        determinants = anp.sum(q, axis=1)
        deviations = anp.matmul(x - mu[:, None], anp.transpose(factors, (0, 2, 1)))
        terms = (alpha + determinants)[:, None] - 0.5 * anp.sum(deviations**2, axis=2)
        likelihood = anp.sum(log_sum_exp(terms)) - n * (0.5 * d * math.log(2.0 * math.pi) + log_sum_exp(alpha))
        return likelihood - 0.5 * gamma**2 * anp.sum(factors**2) + m * anp.sum(determinants) + k * constant

    return gradient(objective, 4, alpha, mu, q, l)


def cross(a, b):
    """The rows' cross products: autograd has no np.cross."""
    (a0, a1, a2), (b0, b1, b2) = a.T, b.T
    return anp.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], axis=1)


def bundle(cameras, points, weight, feature, seen_by, seen):
    errors = module_on(ba, np=SimpleNamespace(**vars(anp) | {"cross": cross})).errors
    starts, columns = ba.pattern(len(cameras), len(points), seen_by, seen)
    count = len(weight)
    observed = (cameras[seen_by], points[seen], weight)
    regular = autograd.grad(lambda w: anp.sum(1.0 - w**2))

    def call():
        pull, _ = make_vjp(lambda moving: errors(*moving, feature))(observed)
        rows = np.empty((count, 2, ba.ROW))
        for k, unit in enumerate(((1.0, 0.0), (0.0, 1.0))):
            by_camera, by_point, by_weight = pull(np.tile(unit, (count, 1)))
            rows[:, k, :11], rows[:, k, 11:14], rows[:, k, 14] = by_camera, by_point, by_weight
        return starts, columns, np.concatenate([rows.ravel(), regular(weight)])

    return call


def kmeans_direction(centroids, points):
    cost = on_namespace(kmeans.cost, anp)
    slope = autograd.grad(cost)
    ones = np.ones_like(centroids)

    def call():
        pull, found = make_vjp(lambda c: slope(c, points))(centroids)
        return found / pull(ones)

    return call


def lstm_gradient(main, extra, state, sequence):
    return gradient(module_on(lstm, np=anp).objective, 2, main, extra, state, sequence)


def equations(x, steps):
    last = module_on(ode, np=anp, slope=lambda x, y: anp.concatenate([x[:1], x[1:] * y[:-1]])).last
    derivative = autograd.grad(lambda x: last(x, steps))
    return lambda: derivative(x)


def one(function):
    """Returns an eval's start for a function of ours, differentiated by its first argument."""

    def started(x, *rest):
        derivative = autograd.grad(on_namespace(function, anp))
        return lambda: derivative(x, *rest)

    return started


def nested(module, start):
    """Returns a function of an eval's argument that starts its search in a search, both by reverse mode."""
    by_reverse = {"r": autograd.grad}
    search = module_on(descent, math=anp, BY=by_reverse)
    names = {"math": anp, "BY": by_reverse, "argmin": search.argmin, "argmax": search.argmax}
    return lambda argument: getattr(module_on(module, **names), start)(Eager(), argument, "r", "r")


PROBLEMS = {
    "hello": one(hello.square),
    "gmm": gmm,
    "ba": bundle,
    "kmeans": kmeans_direction,
    "llsq": one(llsq.objective),
    "lse": one(lse.log_sum_exp),
    "lstm": lstm_gradient,
    "ode": equations,
    "det": one(det.determinant),
    "particle": nested(particle, "control"),
    "saddle": nested(saddle, "saddle"),
}
UNABLE = {"ht": "no forward mode through the assignments and no batch of rows"}
