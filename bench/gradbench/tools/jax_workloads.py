"""The workloads by JAX, as its evals; loops of many steps are scans."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import jax.scipy
import numpy as np

from bench.gradbench.tools.jax_models import compiled
from bench.peers import module_on
from bench.workloads import heat, lorenz, markov, nbody
from bench.workloads.registry import WORKLOADS


def solve(factor, y):
    return jax.scipy.linalg.solve_triangular(factor, y, lower=True)


NAMES = SimpleNamespace(**vars(jnp) | {"linalg": SimpleNamespace(cholesky=jnp.linalg.cholesky, solve=solve)})


def gradient(function, count, *arguments):
    """Returns the call for the gradients of a function by its first `count` arguments, all of them arrays."""
    return compiled(jax.grad(function, argnums=tuple(range(count))), *map(np.asarray, arguments))


def repeated(step, state, steps):
    """Returns the state after so many steps."""
    return jax.lax.scan(lambda state, _: (step(state), None), state, length=steps)[0]


def bodies(velocities, positions, masses, targets, steps):
    on_jax = module_on(nbody, np=jnp)

    def miss(velocities, positions, masses, targets):
        state = positions, velocities, on_jax.accelerations(positions, masses)
        x, _, _ = repeated(lambda state: on_jax.step(*state, masses), state, steps)
        return jnp.sum((x - targets) ** 2)

    return gradient(miss, 1, velocities, positions, masses, targets)


def trajectory(start, parameters, steps):
    def end(start, parameters):
        return repeated(lambda state: lorenz.step(state, parameters), list(start), steps)[0]

    return gradient(end, 2, start, parameters)


def language(embedding, weights, bias, output, letters):
    batch, size = len(letters), len(output)

    def loss(embedding, weights, bias, output, letters):
        def step(state, entering):
            hidden, cell = state
            forget, enter, leave, change = jnp.split(entering + hidden @ weights[size:], 4, axis=1)
            cell = jax.nn.sigmoid(forget) * cell + jax.nn.sigmoid(enter) * jnp.tanh(change)
            hidden = jax.nn.sigmoid(leave) * jnp.tanh(cell)
            return (hidden, cell), hidden

        entering = embedding[letters[:-1]] @ weights[:size] + bias
        _, hidden = jax.lax.scan(step, (jnp.zeros((batch, size)),) * 2, entering)
        likelihoods = jax.nn.log_softmax(hidden @ output)
        return -jnp.mean(jnp.take_along_axis(likelihoods, letters[1:, :, jnp.newaxis], axis=2))

    return gradient(loss, 4, embedding, weights, bias, output, letters.T)


def arm(angles, target):
    count = len(angles)
    lengths, target = 0.9 ** np.arange(count)[::-1], np.array(target)

    def miss(angles):
        sine, cosine = jnp.sin(angles), jnp.cos(angles)
        zero, one = jnp.zeros(count), jnp.ones(count)
        about_z = jnp.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, one], axis=1)
        about_y = jnp.stack([cosine, zero, sine, zero, one, zero, -sine, zero, cosine], axis=1)
        turns = jnp.where(np.arange(count)[:, np.newaxis] % 2, about_y, about_z).reshape(count, 3, 3)
        links = lengths[:, np.newaxis] * turns[:, :, 0]

        def step(hand, joint):
            turn, link = joint
            return turn @ hand + link, None

        hand, _ = jax.lax.scan(step, jnp.zeros(3), (turns, links), reverse=True)
        return jnp.sum((hand - target) ** 2)

    return gradient(miss, 1, angles)


def conductivity(logarithm, first, measured, steps):
    step = module_on(heat, np=jnp).step

    def misfit(logarithm, first, measured):
        conductivity = 0.2 * jnp.exp(logarithm)
        temperature = repeated(lambda temperature: step(temperature, conductivity), first, steps)
        return jnp.mean((temperature - measured) ** 2) + 1e-4 * jnp.mean(jnp.diff(logarithm) ** 2)

    return gradient(misfit, 1, logarithm, first, measured)


def hidden_states(start, transition, emission, observations):
    on_jax = module_on(markov, np=jnp)

    def likelihood(start, transition, emission, observations):
        start, transition, emission = (jax.nn.log_softmax(scores) for scores in (start, transition, emission))
        scores = emission.T[observations]
        state, _ = jax.lax.scan(lambda state, seen: (on_jax.step(state, transition, seen), None), start + scores[0], scores[1:])
        return jax.nn.logsumexp(state)

    return gradient(likelihood, 3, start, transition, emission, observations)


def workload(problem):
    """Returns the start of a workload: its own function on JAX's names."""
    function = problem.on(np=NAMES, special=jax.scipy.special, math=jnp)
    return lambda *arguments: gradient(function, len(problem.argnums), *arguments)


PROBLEMS = {name: workload(WORKLOADS[name]) for name in ("logistic", "process", "options", "basket")}
PROBLEMS |= {
    "nbody": bodies,
    "lorenz": trajectory,
    "language": language,
    "arm": arm,
    "heat": conductivity,
    "markov": hidden_states,
}
UNABLE = {}
