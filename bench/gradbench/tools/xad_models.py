"""The evals by XAD: its tape of numbers, and the evals' own functions on NumPy's arrays of such numbers."""

from operator import attrgetter
from types import SimpleNamespace

import numpy as np
import xad.adj_1st
import xad.fwd_1st
import xad.math

from bench.gradbench import ba, det, gmm, ht, llsq, lse, lstm, ode
from bench.peers import module_on


def log_add_exp(a, b):
    """Returns log(exp(a) + exp(b)) of two numbers."""
    return xad.math.max(a, b) + xad.math.log1p(xad.math.exp(-abs(a - b)))


# Functions of one argument, element by element; the rest of NumPy takes arrays of objects as it stands.
ELEMENTWISE = {name: np.frompyfunc(getattr(xad.math, name), 1, 1) for name in ("exp", "log", "sin", "cos", "tanh", "sqrt", "erf")}
OTHERS = {"zeros": lambda shape: np.zeros(shape, object), "logaddexp": np.frompyfunc(log_add_exp, 2, 1)}
NAMES = SimpleNamespace(**vars(np) | ELEMENTWISE | OTHERS)
ACTIVE = np.frompyfunc(xad.adj_1st.Real, 1, 1)
TANGENT = np.frompyfunc(xad.fwd_1st.Real, 1, 1)
DERIVATIVE = np.frompyfunc(attrgetter("derivative"), 1, 1)


def gradient(function, moving, *rest):
    """Returns the call for the gradients of a function by its first arguments, `moving`."""

    def call():
        arrays = [ACTIVE(x) for x in moving]
        with xad.adj_1st.Tape() as tape:
            tape.registerInputs([x for array in arrays for x in np.ravel(array)])
            tape.newRecording()
            value = function(*arrays, *rest)
            tape.registerOutput(value)
            value.derivative = 1.0
            tape.computeAdjoints()
            return [np.asarray(DERIVATIVE(array), dtype=float) for array in arrays]

    return call


def mixture(alpha, mu, q, l, x, m, gamma):
    return gradient(module_on(gmm, np=NAMES).objective, (alpha, mu, q, l), x, m, gamma)


def bundle(cameras, points, weight, feature, seen_by, seen):
    two_errors = module_on(ba, math=xad.math).two_errors
    starts, columns = ba.pattern(len(cameras), len(points), seen_by, seen)
    observed = np.concatenate([cameras[seen_by], points[seen], weight[:, np.newaxis]], axis=1)

    def row(tape, numbers, target):
        """Returns the two rows of an observation."""
        inputs = [xad.adj_1st.Real(x) for x in numbers]
        tape.registerInputs(inputs)
        tape.newRecording()
        errors = list(two_errors(inputs, target))
        tape.registerOutputs(errors)
        rows = []
        for each in errors:
            tape.clearDerivatives()
            each.derivative = 1.0
            tape.computeAdjoints()
            rows.append([x.derivative for x in inputs])
        return rows

    def call():
        with xad.adj_1st.Tape() as tape:
            rows = np.array([row(tape, *each) for each in zip(observed.tolist(), feature.tolist())])
        return starts, columns, np.concatenate([rows.ravel(), *regular()])

    regular = gradient(lambda w: np.sum(1.0 - w**2), (weight,))
    return call


def hand(theta, us, model, nearest, points):
    distances = module_on(ht, np=NAMES).distances
    directions = np.eye((2 if len(us) else 0) + len(theta))

    def column(direction):
        """Returns the derivatives of the distances along a direction of shift and pose."""
        moving = TANGENT(np.concatenate([np.zeros(len(direction) - len(theta)), theta]))
        for x, tangent in zip(moving, direction):
            x.derivative = tangent
        shift, pose = np.split(moving, [len(direction) - len(theta)])
        return DERIVATIVE(distances(pose, us + shift if len(us) else us, model, nearest, points)).ravel()

    return lambda: np.stack([column(direction) for direction in directions], axis=1).astype(float)


def recurrent(main, extra, state, sequence):
    return gradient(module_on(lstm, np=NAMES).objective, (main, extra), state, sequence)


UNABLE = dict.fromkeys(("kmeans", "particle", "saddle"), "first derivatives only, in Python")
PROBLEMS = {
    "hello": lambda x: gradient(lambda x: x * x, (x,)),
    "gmm": mixture,
    "ba": bundle,
    "ht": hand,
    "llsq": lambda x, n: gradient(module_on(llsq, np=NAMES).objective, (x,), n),
    "lse": lambda x: gradient(module_on(lse, np=NAMES).log_sum_exp, (x,)),
    "lstm": recurrent,
    "ode": lambda x, steps: gradient(module_on(ode, np=NAMES).last, (x,), steps),
    "det": lambda flat, size: gradient(det.determinant, (flat,), size),
}
