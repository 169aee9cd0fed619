"""The evals by MyGrad: the evals' own functions on its tensors, whose graph serves one sweep back."""

from functools import partial
from types import SimpleNamespace

import mygrad
import numpy as np

from bench.gradbench import ba, det, gmm, hello, llsq, lse, lstm, ode
from bench.peers import module_on

mygrad.turn_memory_guarding_off()


def cross(a, b):
    """The rows' cross products: MyGrad has no np.cross."""
    (a0, a1, a2), (b0, b1, b2) = a.T, b.T
    return mygrad.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], axis=1)


def split(x, parts):
    """The equal parts of a vector: MyGrad has no np.split."""
    length = len(x) // parts
    return [x[k * length : (k + 1) * length] for k in range(parts)]


# Functions of constants alone are NumPy's, so that these stay constants.
CONSTANT = {name: getattr(np, name) for name in ("linspace", "sign", "ones", "triu_indices", "arange", "newaxis")}
OTHERS = {"cross": cross, "split": split, "zeros": partial(mygrad.zeros, dtype=float)}
NAMES = SimpleNamespace(**vars(mygrad) | CONSTANT | OTHERS)


def gradient(function, moving, *rest):
    """Returns the call for the gradients of a function by its first arguments, `moving`."""

    def call():
        tensors = [mygrad.tensor(x) for x in moving]
        function(*tensors, *rest).backward()
        return [x.grad for x in tensors]

    return call


def mixture(alpha, mu, q, l, x, m, gamma):
    return gradient(module_on(gmm, np=NAMES).objective, (alpha, mu, q, l), x, m, gamma)


def bundle(cameras, points, weight, feature, seen_by, seen):
    errors, count = module_on(ba, np=NAMES).errors, len(weight)
    observed = (cameras[seen_by], points[seen], weight)
    starts, columns = ba.pattern(len(cameras), len(points), seen_by, seen)
    halves = [gradient(lambda *moving, k=k: mygrad.sum(errors(*moving, feature)[:, k]), observed) for k in range(2)]
    regular = gradient(lambda w: mygrad.sum(1.0 - w**2), (weight,))

    def call():
        rows = np.empty((count, 2, ba.ROW))
        for k, half in enumerate(halves):
            rows[:, k, :11], rows[:, k, 11:14], rows[:, k, 14] = half()
        return starts, columns, np.concatenate([rows.ravel(), *regular()])

    return call


def recurrent(main, extra, state, sequence):
    return gradient(module_on(lstm, np=NAMES).objective, (main, extra), state, sequence)


def equations(x, steps):
    def slope(x, y):
        return mygrad.concatenate([x[:1], x[1:] * y[:-1]])

    return gradient(module_on(ode, np=NAMES, slope=slope).last, (x,), steps)


def determinant(flat, size):
    return gradient(lambda *entries: det.determinant(entries, size), flat)


UNABLE = dict.fromkeys(("kmeans", "particle", "saddle"), "first derivatives only")
UNABLE["ht"] = "no forward mode, and a graph serves one sweep: a run of the function for each number of the result"
PROBLEMS = {
    "hello": lambda x: gradient(hello.square, (x,)),
    "gmm": mixture,
    "ba": bundle,
    "llsq": lambda x, n: gradient(module_on(llsq, np=NAMES).objective, (x,), n),
    "lse": lambda x: gradient(module_on(lse, np=NAMES).log_sum_exp, (x,)),
    "lstm": recurrent,
    "ode": equations,
    "det": determinant,
}
