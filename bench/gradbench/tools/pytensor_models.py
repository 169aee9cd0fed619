"""The evals by PyTensor: symbols of arrays, gradients of expressions, functions compiled by its default mode, Numba."""

import math
from types import SimpleNamespace

import numpy as np
import pytensor
import pytensor.tensor as pt

from bench.gradbench import ba, det, ht, ode
from bench.peers import module_on


def cross(a, b):
    """The rows' cross products: PyTensor has no cross."""
    (a0, a1, a2), (b0, b1, b2) = ([x[:, k] for k in range(3)] for x in (a, b))
    return pt.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], axis=1)


NAMES = SimpleNamespace(**vars(pt) | {"cross": cross})


def symbols_for(*arrays):
    """Returns a symbol of the shape of each array or number."""
    return [pt.tensor(dtype="float64", shape=np.shape(x)) for x in arrays]


def compiled(symbols, results, arguments):
    """Returns the call of a function of symbols at arguments; compilation is at once."""
    run = pytensor.function(symbols, results)
    run.trust_input = True
    arguments = [np.asarray(x) for x in arguments]
    run(*arguments)
    return lambda: run(*arguments)


def gradient(function, *moving):
    """Returns the call for the gradients of a function by its arguments."""
    symbols = symbols_for(*moving)
    return compiled(symbols, pytensor.grad(function(*symbols), symbols), moving)


def gmm(alpha, mu, q, l, x, m, gamma):
    n, d = x.shape
    k = len(alpha)
    freedom = d + m + 1
    columns, rows = np.triu_indices(d, 1)
    constant = freedom * d * math.log(gamma / math.sqrt(2.0)) - 0.25 * d * (d - 1) * math.log(math.pi)
    constant -= sum(math.lgamma(0.5 * (freedom - j)) for j in range(d))

    def objective(alpha, mu, q, l):
        factors = pt.zeros((k, d, d))[:, rows, columns].set(l)
        factors = factors[:, np.arange(d), np.arange(d)].set(pt.exp(q))
        determinants = pt.sum(q, axis=1)
        deviations = (x - mu[:, None]) @ factors.transpose(0, 2, 1)
        terms = (alpha + determinants)[:, None] - 0.5 * pt.sum(deviations**2, axis=2)
        likelihood = pt.sum(pt.logsumexp(terms, axis=0)) - n * (0.5 * d * math.log(2.0 * math.pi) + pt.logsumexp(alpha))
        return likelihood - 0.5 * gamma**2 * pt.sum(factors**2) + m * pt.sum(determinants) + k * constant

    return gradient(objective, alpha, mu, q, l)


def bundle(cameras, points, weight, feature, seen_by, seen):
    errors, count = module_on(ba, np=NAMES).errors, len(weight)
    observed = (cameras[seen_by], points[seen], weight)
    starts, columns = ba.pattern(len(cameras), len(points), seen_by, seen)
    camera, point, w = symbols = symbols_for(*observed)
    found = errors(camera, point, w, feature)
    halves = [
        pt.concatenate([pt.reshape(part, (count, -1)) for part in pytensor.grad(pt.sum(found[:, k]), symbols)], axis=1)
        for k in range(2)
    ]
    rows = pt.stack(halves, axis=1).ravel()
    call = compiled(symbols, pt.concatenate([rows, pytensor.grad(pt.sum(1.0 - w**2), w)]), observed)
    return lambda: (starts, columns, call())


def hand(theta, us, model, nearest, points):
    bones, first = len(model.parents), 2 + 4 * np.arange(ht.FINGERS)

    def turn(sine, cosine, i, j):
        matrices = pt.tile(np.eye(3), (bones, 1, 1))[:, [i, j], [i, j]].set(pt.stack([cosine, cosine], axis=1))
        return matrices[:, [i, j], [j, i]].set(pt.stack([-sine, sine], axis=1))

    def posed(theta):
        fingers = theta[6:].reshape((ht.FINGERS, 4))
        angles = pt.zeros((bones, 3))[first, :2].set(fingers[:, :2])
        angles = angles[first + 1, 0].set(fingers[:, 2])[first + 2, 0].set(fingers[:, 3])
        sine, cosine = pt.sin(angles), pt.cos(angles)
        x, z, y = (turn(sine[:, k], cosine[:, k], *plane) for k, plane in enumerate(((1, 2), (0, 1), (2, 0))))
        relatives = model.relatives @ pt.tile(np.eye(4), (bones, 1, 1))[:, :3, :3].set(z @ y @ x)
        absolutes = []
        for bone, parent in enumerate(model.parents):
            absolutes.append(relatives[bone] if parent == -1 else absolutes[parent] @ relatives[bone])
        by_bone = ((pt.stack(absolutes) @ model.inverses) @ model.vertices.T)[:, :3]
        skinned = pt.sum(by_bone * model.weights.T[:, None], axis=0)
        angle = pt.sqrt(pt.sum(theta[:3] ** 2))
        axis = theta[:3] / angle
        x, y, z = (axis[k] for k in range(3))
        zero = pt.zeros(())
        cross = pt.stack([zero, -z, y, z, zero, -x, -y, x, zero]).reshape((3, 3))
        whole = pt.cos(angle) * np.eye(3) + pt.sin(angle) * cross + (1.0 - pt.cos(angle)) * pt.outer(axis, axis)
        return whole @ skinned + theta[3:6, None]

    def distances(shift, theta):
        return ht.from_surface(posed(theta), us + shift if len(us) else None, model, nearest, points)

    symbols, tangents = symbols_for(np.zeros(2), theta), symbols_for(np.zeros(2), theta)
    moving = slice(0 if len(us) else 1, 2)
    column = pytensor.gradient.pushforward(distances(*symbols), symbols[moving], tangents[moving])
    run = pytensor.function([*symbols, *tangents], column.ravel(), on_unused_input="ignore")
    run.trust_input = True
    units = [np.split(unit, [2]) for unit in np.eye(2 + len(theta))[0 if len(us) else 2 :]]

    def call():
        return np.stack([run(np.zeros(2), theta, *unit) for unit in units], axis=1)

    return call


def kmeans(centroids, points):
    [c] = symbols_for(centroids)
    squares = pt.sum(points**2, axis=1)[:, None] + pt.sum(c**2, axis=1)
    cost = pt.sum(pt.min(squares - 2.0 * (points @ c.T), axis=1))
    slope = pytensor.grad(cost, c)
    return compiled([c], slope / pytensor.grad(pt.sum(slope), c), [centroids])


def llsq(x, n):
    t = np.linspace(-1.0, 1.0, n)
    return gradient(lambda x: pt.sum((np.sign(t) - np.vander(t, x.type.shape[0], increasing=True) @ x) ** 2) / 2.0, x)


def lse(x):
    def log_sum_exp(x):
        largest = pt.max(x)
        return largest + pt.log(pt.sum(pt.exp(x - largest)))

    return gradient(log_sum_exp, x)


def lstm(main, extra, state, sequence):
    layers, (characters, bits) = len(main) // 2, sequence.shape

    def objective(main, extra):
        def following(now, target, states, main, extra):
            x, after = now * extra[0], []
            for i in range(layers):
                gates = pt.concatenate([x, states[2 * i], x, states[2 * i]]) * main[2 * i] + main[2 * i + 1]
                forget, enter, leave, change = (gates[k * bits : (k + 1) * bits] for k in range(4))
                cell = states[2 * i + 1] * pt.sigmoid(forget) + pt.sigmoid(enter) * pt.tanh(change)
                x = pt.sigmoid(leave) * pt.tanh(cell)
                after += [x, cell]
            predicted = x * extra[1] + extra[2]
            return pt.stack(after), pt.sum(target * (predicted - pt.log(pt.sum(pt.exp(predicted)) + 2.0)))

        _, terms = pytensor.scan(
            following,
            sequences=[pt.constant(sequence[:-1]), pt.constant(sequence[1:])],
            outputs_info=[pt.constant(state), None],
            non_sequences=[main, extra],
            strict=True,
            return_updates=False,
        )
        return -pt.sum(terms) / (bits * (characters - 1))

    return gradient(objective, main, extra)


def equations(x, steps):
    h = ode.END / steps

    def slope(x, y):
        return pt.concatenate([x[:1], x[1:] * y[:-1]])

    def last(x):
        found = pytensor.scan(
            lambda y, x: ode.step(slope, x, y, h),
            outputs_info=[pt.zeros_like(x)],
            non_sequences=[x],
            n_steps=steps,
            strict=True,
            return_updates=False,
        )
        return found[-1, -1]

    return gradient(last, x)


PROBLEMS = {
    "hello": lambda x: gradient(lambda x: x * x, x),
    "gmm": gmm,
    "ba": bundle,
    "ht": hand,
    "kmeans": kmeans,
    "llsq": llsq,
    "lse": lse,
    "lstm": lstm,
    "ode": equations,
    "det": lambda flat, size: gradient(lambda a: det.determinant(a, size), flat),
}
# Numba compiles most of these for longer than the minute that a tool has unless `--limit` gives it more.
UNABLE = dict.fromkeys(("particle", "saddle"), "not written: searches of unknown length in loops of unknown length")
