"""lstm: the mean loss of a small LSTM that predicts the bits of the next character, and its gradient by the weights.

All its matrices are diagonal, a quirk of the suite.
"""

import math

import numpy as np

from bench.gradbench.problem import Eval, Function, array


def objective(main, extra, state, sequence):
    """Returns the loss per bit over a sequence (characters, bits), from the weights and the layers' first states.

    Rows of `main` (2 layers, 4 bits) are weights and biases of a layer's gates, of `extra` (3, bits) the weights of the input and
    the weights and biases of the output, of `state` (2 layers, bits) hidden and cell state of a layer.
    """
    layers, bits = len(main) // 2, sequence.shape[1]
    states = [(state[2 * i], state[2 * i + 1]) for i in range(layers)]
    total = 0.0
    for now, following in zip(sequence[:-1], sequence[1:]):
        x = now * extra[0]
        for i in range(layers):
            states[i] = step(main[2 * i], main[2 * i + 1], *states[i], x)
            x = states[i][0]
        predicted = x * extra[1] + extra[2]
        total = total + np.sum(following * (predicted - np.log(np.sum(np.exp(predicted)) + 2.0)))
    return -total / (bits * (len(sequence) - 1))


def step(weight, bias, hidden, cell, x):
    """Returns a layer's hidden and cell state after an input."""
    gates = np.concatenate([x, hidden, x, hidden]) * weight + bias
    forget, enter, leave = (sigmoid(gate) for gate in np.split(gates, 4)[:3])
    change = np.tanh(np.split(gates, 4)[3])
    cell = cell * forget + enter * change
    return leave * np.tanh(cell), cell


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def read(message):
    sequence = array(message, "sequence", None, None)
    bits = sequence.shape[1]
    main = array(message, "main_params", None, 4 * bits)
    if len(main) == 0 or len(main) % 2 or len(sequence) < 2:
        raise ValueError("main_params needs two rows a layer, sequence two characters")
    return main, array(message, "extra_params", 3, bits), array(message, "state", len(main), bits), sequence


def sample(layers, characters, text=None):
    """Returns a message for the first characters of a text; without one, of letters and blanks drawn at random."""
    rng = np.random.default_rng(31337)
    if text is None:
        letters = rng.choice([ord(letter) for letter in "etaoin shrdlu\u2019"], size=characters)
    else:
        letters = np.array([ord(letter) for letter in text[:characters]])
    bits = math.ceil(math.log2(max(letters)))
    return {
        "main_params": rng.uniform(size=(2 * layers, 4 * bits)).tolist(),
        "extra_params": rng.uniform(size=(3, bits)).tolist(),
        "state": rng.uniform(size=(2 * layers, bits)).tolist(),
        "sequence": ((letters[:, np.newaxis] >> np.arange(bits)[::-1]) & 1).astype(float).tolist(),
    }


EVAL = Eval(
    name="lstm",
    functions={
        "objective": Function(lambda way, *arguments: way.value(objective, *arguments), float),
        "jacobian": Function(
            lambda way, *arguments: way.gradient(objective, *arguments, argnums=(0, 1)),
            lambda gradient: np.concatenate([part.ravel() for part in gradient]).tolist(),
        ),
    },
    read=read,
    sample=sample,
    sizes=((1, 16), (2, 128), (2, 1024)),
    timed="jacobian",
)
