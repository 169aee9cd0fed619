"""The evals by JAX: compiled by jit, in float64, on one thread, with results waited for."""

import math
import os

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp, multigammaln

from bench.gradbench import ba, det, ht, ode
from bench.peers import one_processor

jax.config.update("jax_enable_x64", True)
with one_processor():
    jax.devices()


def compiled(function, *arguments):
    """Returns the call of a function compiled for its arguments, arrays on the device; compilation is at once."""
    arguments = jax.tree.map(jnp.asarray, arguments)
    run = jax.jit(function).lower(*arguments).compile()
    return lambda: jax.block_until_ready(run(*arguments))


def gmm(alpha, mu, q, l, x, m, gamma):
    def objective(alpha, mu, q, l):
        n, d = x.shape
        k = len(alpha)
        columns, rows = np.triu_indices(d, 1)
        factors = jnp.zeros((k, d, d)).at[:, rows, columns].set(l)
        factors = factors.at[:, np.arange(d), np.arange(d)].set(jnp.exp(q))
        determinants = jnp.sum(q, axis=1)
        deviations = jnp.einsum("kij,knj->kni", factors, x - mu[:, jnp.newaxis])
        terms = (alpha + determinants)[:, jnp.newaxis] - 0.5 * jnp.sum(deviations**2, axis=2)
        likelihood = jnp.sum(logsumexp(terms, axis=0)) - n * (0.5 * d * math.log(2.0 * math.pi) + logsumexp(alpha))
        prior = -0.5 * gamma**2 * jnp.sum(factors**2) + m * jnp.sum(determinants)
        freedom = d + m + 1
        return likelihood + prior + k * (freedom * d * math.log(gamma / math.sqrt(2.0)) - multigammaln(0.5 * freedom, d))

    return compiled(jax.grad(objective, argnums=(0, 1, 2, 3)), alpha, mu, q, l)


def error(camera, point, weight, feature):
    """Returns the reprojection error (2,) of one observation."""
    square = jnp.sum(camera[:3] ** 2)
    turns = square > 0.0
    angle = jnp.sqrt(jnp.where(turns, square, 1.0))
    axis, x = camera[:3] / angle, point - camera[3:6]
    turned = x * jnp.cos(angle) + jnp.cross(axis, x) * jnp.sin(angle) + axis * jnp.dot(axis, x) * (1.0 - jnp.cos(angle))
    turned = jnp.where(turns, turned, x + jnp.cross(camera[:3], x))
    plane = turned[:2] / turned[2]
    square = jnp.sum(plane**2)
    distorted = plane * (1.0 + camera[9] * square + camera[10] * square**2)
    return weight * (distorted * camera[6] + camera[7:9] - feature)


def bundle(cameras, points, weight, feature, seen_by, seen):
    blocks = jax.vmap(jax.jacrev(error, argnums=(0, 1, 2)))
    regular = jax.vmap(jax.grad(lambda w: 1.0 - w**2))

    def jacobian(cameras, points, weight, feature):
        by_camera, by_point, by_weight = blocks(cameras[seen_by], points[seen], weight, feature)
        rows = jnp.concatenate([by_camera, by_point, by_weight[:, :, jnp.newaxis]], axis=2)
        return jnp.concatenate([rows.ravel(), regular(weight)])

    starts, columns = ba.pattern(len(cameras), len(points), seen_by, seen)
    call = compiled(jacobian, cameras, points, weight, feature)
    return lambda: (starts, columns, call())


def hand(theta, us, model, nearest, points):
    def turn(sine, cosine, i, j):
        matrices = jnp.tile(jnp.eye(3), (len(sine), 1, 1)).at[:, i, i].set(cosine).at[:, j, j].set(cosine)
        return matrices.at[:, i, j].set(-sine).at[:, j, i].set(sine)

    def posed(theta):
        bones = len(model.parents)
        first = 2 + 4 * np.arange(ht.FINGERS)
        fingers = theta[6:].reshape(ht.FINGERS, 4)
        angles = (
            jnp.zeros((bones, 3))
            .at[first, :2]
            .set(fingers[:, :2])
            .at[first + 1, 0]
            .set(fingers[:, 2])
            .at[first + 2, 0]
            .set(fingers[:, 3])
        )
        sine, cosine = jnp.sin(angles), jnp.cos(angles)
        x, z, y = (turn(sine[:, k], cosine[:, k], *plane) for k, plane in enumerate(((1, 2), (0, 1), (2, 0))))
        relatives = model.relatives @ jnp.tile(jnp.eye(4), (bones, 1, 1)).at[:, :3, :3].set(z @ y @ x)
        absolutes = []
        for bone, parent in enumerate(model.parents):
            absolutes.append(relatives[bone] if parent == -1 else absolutes[parent] @ relatives[bone])
        by_bone = ((jnp.stack(absolutes) @ model.inverses) @ model.vertices.T)[:, :3]
        skinned = jnp.sum(by_bone * model.weights.T[:, jnp.newaxis], axis=0)
        angle = jnp.sqrt(jnp.sum(theta[:3] ** 2))
        x, y, z = axis = theta[:3] / angle
        cross = jnp.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
        whole = jnp.cos(angle) * jnp.eye(3) + jnp.sin(angle) * cross + (1.0 - jnp.cos(angle)) * jnp.outer(axis, axis)
        return whole @ skinned + theta[3:6, jnp.newaxis]

    def distances(shift, theta):
        return ht.from_surface(posed(theta), us + shift if len(us) else None, model, nearest, points)

    def jacobian(shift, theta):
        blocks = [block.reshape(3 * len(points), -1) for block in jax.jacfwd(distances, argnums=(0, 1))(shift, theta)]
        return jnp.concatenate(blocks, axis=1) if len(us) else blocks[1]

    return compiled(jacobian, np.zeros(2), theta)


def kmeans(centroids, points):
    def cost(centroids, points):
        squares = jnp.sum(points**2, axis=1)[:, jnp.newaxis] + jnp.sum(centroids**2, axis=1)
        return jnp.sum(jnp.min(squares - 2.0 * (points @ centroids.T), axis=1))

    def direction(centroids, points):
        gradient, diagonal = jax.jvp(lambda c: jax.grad(cost)(c, points), (centroids,), (jnp.ones_like(centroids),))
        return gradient / diagonal

    return compiled(direction, centroids, points)


def llsq(x, n):
    def objective(x):
        t = jnp.linspace(-1.0, 1.0, n)
        return jnp.sum((jnp.sign(t) - jnp.polyval(x[::-1], t)) ** 2) / 2.0

    return compiled(jax.grad(objective), x)


def lse(x):
    def log_sum_exp(x):
        largest = jnp.max(x)
        return largest + jnp.log(jnp.sum(jnp.exp(x - largest)))

    return compiled(jax.grad(log_sum_exp), x)


def lstm(main, extra, state, sequence):
    def step(weight, bias, hidden, cell, x):
        gates = jnp.concatenate([x, hidden, x, hidden]) * weight + bias
        forget, enter, leave, change = jnp.split(gates, 4)
        cell = cell * jax.nn.sigmoid(forget) + jax.nn.sigmoid(enter) * jnp.tanh(change)
        return jax.nn.sigmoid(leave) * jnp.tanh(cell), cell

    def objective(main, extra, state, sequence):
        def following(states, characters):
            now, target = characters
            x, after = now * extra[0], []
            for i in range(len(main) // 2):
                x, cell = step(main[2 * i], main[2 * i + 1], states[2 * i], states[2 * i + 1], x)
                after += [x, cell]
            predicted = x * extra[1] + extra[2]
            return jnp.stack(after), jnp.sum(target * (predicted - jnp.log(jnp.sum(jnp.exp(predicted)) + 2.0)))

        _, terms = jax.lax.scan(following, state, (sequence[:-1], sequence[1:]))
        return -jnp.sum(terms) / (sequence.shape[1] * (len(sequence) - 1))

    return compiled(jax.grad(objective, argnums=(0, 1)), main, extra, state, sequence)


def equations(x, steps):
    h = ode.END / steps

    def slope(x, y):
        return jnp.concatenate([x[:1], x[1:] * y[:-1]])

    def last(x):
        return jax.lax.scan(lambda y, _: (ode.step(slope, x, y, h), None), jnp.zeros_like(x), length=steps)[0][-1]

    return compiled(jax.grad(last), x)


def determinant(flat, size):
    return compiled(jax.grad(lambda a: det.determinant(a, size)), flat)


PROBLEMS = {
    "hello": lambda x: compiled(jax.grad(lambda x: x * x), x),
    "gmm": gmm,
    "ba": bundle,
    "ht": hand,
    "kmeans": kmeans,
    "llsq": llsq,
    "lse": lse,
    "lstm": lstm,
    "ode": equations,
    "det": determinant,
}
UNABLE = dict.fromkeys(("particle", "saddle"), "no reverse mode through a loop of unknown length inside jit")
