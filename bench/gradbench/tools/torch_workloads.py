"""The workloads by PyTorch, as its evals."""

import math

import numpy as np
import torch
from torch.nn import functional

from bench.gradbench.tools.torch_models import gradient
from bench.workloads import basket, lorenz, nbody


def bodies(velocities, positions, masses, targets, steps):
    def accelerations(x, masses):
        gaps = x - x[:, None]
        squares = torch.sum(gaps**2, dim=2) + nbody.SOFTENING**2
        return torch.einsum("ijk,ij->ik", gaps, masses / squares**1.5)

    def miss(v, x, masses, targets):
        pull = accelerations(x, masses)
        for _ in range(steps):
            v = torch.add(v, pull, alpha=0.5 * nbody.STEP)
            x = torch.add(x, v, alpha=nbody.STEP)
            pull = accelerations(x, masses)
            v = torch.add(v, pull, alpha=0.5 * nbody.STEP)
        return torch.sum((x - targets) ** 2)

    return gradient(miss, 1, velocities, positions, masses, targets)


def trajectory(start, parameters, steps):
    """The slope of a state s is linear @ s + x * (turn @ s)."""
    turn = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])

    def end(state, parameters):
        (sigma, rho, beta), zero, one = parameters, torch.zeros(()), torch.ones(())
        linear = torch.stack([-sigma, sigma, zero, rho, -one, zero, zero, zero, -beta]).reshape(3, 3)

        def slope(state):
            return torch.addcmul(linear @ state, state[0], turn @ state)

        h = lorenz.STEP
        for _ in range(steps):
            a = slope(state)
            b = slope(torch.add(state, a, alpha=0.5 * h))
            c = slope(torch.add(state, b, alpha=0.5 * h))
            d = slope(torch.add(state, c, alpha=h))
            state = torch.add(state, a + 2.0 * b + 2.0 * c + d, alpha=h / 6.0)
        return state[0]

    return gradient(end, 2, start, parameters)


def language(embedding, weights, bias, output, letters):
    vocabulary, size = embedding.shape
    network = torch.nn.LSTM(size, size)
    letters = torch.as_tensor(letters).T

    def ordered(gates):
        """Returns the gates in the network's order: enter, forget, change, leave."""
        return torch.cat([gates[k * size : (k + 1) * size] for k in (1, 0, 3, 2)])

    def loss(embedding, weights, bias, output):
        values = {
            "weight_ih_l0": ordered(weights[:size].T),
            "weight_hh_l0": ordered(weights[size:].T),
            "bias_ih_l0": ordered(bias),
            "bias_hh_l0": torch.zeros_like(bias),
        }
        hidden, _ = torch.func.functional_call(network, values, functional.embedding(letters[:-1], embedding))
        return functional.cross_entropy((hidden @ output).reshape(-1, vocabulary), letters[1:].flatten())

    return gradient(loss, 4, embedding, weights, bias, output)


def logistic(coefficients, x, labels):
    def loss(coefficients, x, labels):
        return -torch.mean(functional.logsigmoid(labels * (x @ coefficients))) + 0.01 * torch.sum(coefficients**2)

    return gradient(loss, 1, coefficients, x, labels)


def process(logarithms, x, y):
    n, d = x.shape
    eye = torch.eye(n)

    def negative_likelihood(logarithms, x, y):
        scaled = x / torch.exp(logarithms[:d])
        squares = torch.sum((scaled[:, None] - scaled) ** 2, dim=2)
        covariance = torch.exp(2.0 * logarithms[d] - 0.5 * squares) + torch.exp(2.0 * logarithms[d + 1]) * eye
        factor = torch.linalg.cholesky(covariance)
        white = torch.linalg.solve_triangular(factor, y[:, None], upper=False)
        return 0.5 * torch.sum(white**2) + torch.sum(torch.log(torch.diagonal(factor))) + 0.5 * n * math.log(2.0 * math.pi)

    return gradient(negative_likelihood, 1, logarithms, x, y)


def options(spot, volatility, rate, maturity, strike):
    def total(spot, volatility, rate, maturity, strike):
        spread = volatility * torch.sqrt(maturity)
        first = (torch.log(spot / strike) + (rate + 0.5 * volatility**2) * maturity) / spread
        normal = torch.special.ndtr
        return torch.sum(spot * normal(first) - strike * torch.exp(-rate * maturity) * normal(first - spread))

    return gradient(total, 4, spot, volatility, rate, maturity, strike)


def basket_price(spots, volatilities, rate, normals):
    maturity = basket.MATURITY

    def price(spots, volatilities, rate, normals):
        growth = (rate - 0.5 * volatilities**2) * maturity + volatilities * math.sqrt(maturity) * normals
        means = torch.mean(spots * torch.exp(growth), dim=1)
        return torch.exp(-rate * maturity) * torch.mean(functional.relu(means - basket.STRIKE))

    return gradient(price, 3, spots, volatilities, rate, normals)


def arm(angles, target):
    lengths, target = torch.as_tensor(0.9 ** np.arange(len(angles))[::-1].copy()), torch.tensor(target)

    def miss(angles):
        sine, cosine = torch.sin(angles), torch.cos(angles)
        zero, one = torch.zeros_like(angles), torch.ones_like(angles)
        about_z = torch.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, one], dim=1)
        about_y = torch.stack([cosine, zero, sine, zero, one, zero, -sine, zero, cosine], dim=1)
        turns = torch.where(torch.arange(len(angles))[:, None] % 2 == 0, about_z, about_y).reshape(-1, 3, 3)
        links = lengths[:, None] * turns[:, :, 0]
        hand = torch.zeros(3)
        for turn, link in zip(turns.unbind()[::-1], links.unbind()[::-1]):
            hand = torch.addmv(link, turn, hand)
        return torch.sum((hand - target) ** 2)

    return gradient(miss, 1, angles)


def conductivity(logarithm, first, measured, steps):
    def misfit(logarithm, temperature, measured):
        conductivity = 0.2 * torch.exp(logarithm)
        for _ in range(steps):
            flux = conductivity * torch.diff(temperature)
            temperature = temperature + torch.diff(functional.pad(flux, (1, 1)))
        return torch.mean((temperature - measured) ** 2) + 1e-4 * torch.mean(torch.diff(logarithm) ** 2)

    return gradient(misfit, 1, logarithm, first, measured)


def hidden_states(start, transition, emission, observations):
    def likelihood(start, transition, emission):
        start, transition, emission = (functional.log_softmax(scores, dim=-1) for scores in (start, transition, emission))
        scores = emission[:, observations].T.unbind()
        state = start + scores[0]
        for seen in scores[1:]:
            state = torch.logsumexp(state[:, None] + transition, dim=0) + seen
        return torch.logsumexp(state, dim=0)

    return gradient(likelihood, 3, start, transition, emission)


PROBLEMS = {
    "nbody": bodies,
    "lorenz": trajectory,
    "language": language,
    "logistic": logistic,
    "process": process,
    "options": options,
    "basket": basket_price,
    "arm": arm,
    "heat": conductivity,
    "markov": hidden_states,
}
UNABLE = {}
