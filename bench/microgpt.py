"""A character-level GPT on first names, written on plain numbers so that any value class can train it.

The model, its sizes and its optimizer settings are those of Karpathy's microgpt
(karpathy.github.io/2026/02/12/microgpt): one layer, RMSNorm, ReLU, learned positions, an output matrix of its
own, no biases, one name per step. `functions`, where a function here takes it, is a module that has `exp` and
`log` of the numbers in use: `math`, `fastad.math` or `bench.pure`.
"""

import itertools
import math
import random
import string
import time
from operator import mul
from pathlib import Path

import names
import numpy as np

from bench.training import Step

WIDTH = 16
HEADS = 4
BLOCK = 16
HEAD_WIDTH = WIDTH // HEADS
KEY_SCALE = HEAD_WIDTH**0.5
LETTERS = string.ascii_lowercase
END = len(LETTERS)
VOCABULARY = len(LETTERS) + 1
LEARNING_RATE = 0.01
BETA_MEAN, BETA_SQUARE, ADAM_FLOOR = 0.85, 0.99, 1e-8
INITIAL_DEVIATION = 0.08
NORM_FLOOR = 1e-5


def first_names(seed=42):
    """Returns the first names in the `names` package (US census, 1990), lower-case, shuffled by the seed."""
    lists = (Path(names.FILES[key]).read_text().split() for key in ("first:female", "first:male"))
    found = sorted({word.lower() for words in lists for word in words if word.isalpha()})
    random.Random(seed).shuffle(found)
    return found


def tokens_of(name):
    """Returns a name as token numbers, the end token before and after it, at most `BLOCK` + 1 in all."""
    return [END, *(LETTERS.index(letter) for letter in name), END][: BLOCK + 1]


def initial_parameters(seed=42):
    """Returns the weight matrices, a dict of lists of rows of floats, normal with deviation 0.08."""
    shapes = {
        "token": (VOCABULARY, WIDTH),
        "position": (BLOCK, WIDTH),
        "query": (WIDTH, WIDTH),
        "key": (WIDTH, WIDTH),
        "value": (WIDTH, WIDTH),
        "mix": (WIDTH, WIDTH),
        "expand": (4 * WIDTH, WIDTH),
        "contract": (WIDTH, 4 * WIDTH),
        "output": (VOCABULARY, WIDTH),
    }
    normal = random.Random(seed).gauss
    return {
        name: [[normal(0.0, INITIAL_DEVIATION) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in shapes.items()
    }


def product(matrix, vector):
    """Returns the matrix times the vector."""
    return [sum(map(mul, row, vector)) for row in matrix]


def normalized(vector):
    """Returns the vector divided by its root mean square."""
    mean_square = sum(map(mul, vector, vector)) / len(vector)
    scale = (mean_square + NORM_FLOOR) ** -0.5
    return [x * scale for x in vector]


def softmax(scores, functions):
    """Returns the probabilities whose logarithms are the scores up to a constant."""
    highest = max(scores)
    powers = [functions.exp(score - highest) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def heads(vector):
    """Returns the vector in `HEADS` pieces, one for each attention head."""
    return [vector[start : start + HEAD_WIDTH] for start in range(0, WIDTH, HEAD_WIDTH)]


def attention(query, keys, values, functions):
    """Returns, head by head, the mean of the values so far, weighted by how well their keys fit the query."""
    result = []
    for head_query, head_keys, head_values in zip(query, zip(*keys), zip(*values)):
        scores = [score / KEY_SCALE for score in product(head_keys, head_query)]
        result += product(zip(*head_values), softmax(scores, functions))
    return result


def next_scores(parameters, token, position, keys, values, functions):
    """Returns the scores of every next token; adds this position's key and value to the lists."""
    x = normalized([t + p for t, p in zip(parameters["token"][token], parameters["position"][position])])
    inner = normalized(x)
    keys.append(heads(product(parameters["key"], inner)))
    values.append(heads(product(parameters["value"], inner)))
    attended = attention(heads(product(parameters["query"], inner)), keys, values, functions)
    x = [a + b for a, b in zip(product(parameters["mix"], attended), x)]
    hidden = [h if h > 0.0 else 0.0 for h in product(parameters["expand"], normalized(x))]
    x = [a + b for a, b in zip(product(parameters["contract"], hidden), x)]
    return product(parameters["output"], x)


def loss(parameters, tokens, functions):
    """Returns the mean of -log(probability given to the next token) over a name, in nats."""
    keys, values, losses = [], [], []
    for position, (token, following) in enumerate(itertools.pairwise(tokens)):
        scores = next_scores(parameters, token, position, keys, values, functions)
        losses.append(-functions.log(softmax(scores, functions)[following]))
    return sum(losses) / len(losses)


class Adam:
    """Parameters and their moving averages, flat, updated by Adam (Kingma and Ba 2015, Algorithm 1)."""

    def __init__(self, parameters):
        self.shapes = {name: (len(matrix), len(matrix[0])) for name, matrix in parameters.items()}
        self.flat = flattened(parameters)
        self.start()

    def start(self):
        """Sets the moving averages to zero."""
        self.mean = np.zeros_like(self.flat)
        self.square = np.zeros_like(self.flat)
        self.steps = 0

    def update(self, gradient, rate):
        """Returns the parameters after one step; they and the gradient are dicts of lists of rows."""
        self.move(flattened(gradient), rate)
        return self.parameters()

    def move(self, slope, rate):
        """Takes one step along the flat gradient, the corrections of both averages in scalar factors (section 2)."""
        self.steps += 1
        self.mean += (1.0 - BETA_MEAN) * (slope - self.mean)
        self.square += (1.0 - BETA_SQUARE) * (slope * slope - self.square)
        scale = (1.0 - BETA_SQUARE**self.steps) ** 0.5
        rate *= scale / (1.0 - BETA_MEAN**self.steps)
        self.flat -= rate * self.mean / (np.sqrt(self.square) + scale * ADAM_FLOOR)

    def parameters(self):
        """Returns the parameters as a dict of lists of rows of floats."""
        numbers = self.flat.tolist()
        result, start = {}, 0
        for name, (rows, columns) in self.shapes.items():
            stop = start + rows * columns
            result[name] = [numbers[i : i + columns] for i in range(start, stop, columns)]
            start = stop
        return result


def flattened(matrices):
    """Returns the numbers of a dict of lists of rows as one float64 array."""
    rows = itertools.chain.from_iterable(matrices.values())
    return np.fromiter(itertools.chain.from_iterable(rows), float)


def training(value_and_grad, functions, steps, seed=42):
    """Yields `steps` `Step`s of training, one name each, the learning rate falling linearly from 0.01 to 0.

    `value_and_grad(f)` must give a function returning f's value and its gradient by its first argument.
    """
    examples = [tokens_of(name) for name in first_names(seed)]
    parameters = initial_parameters(seed)
    adam = Adam(parameters)
    derivative = value_and_grad(loss)
    for step in range(steps):
        tokens = examples[step % len(examples)]
        start = time.perf_counter()
        value, gradient = derivative(parameters, tokens, functions)
        middle = time.perf_counter()
        parameters = adam.update(gradient, LEARNING_RATE * (1.0 - step / steps))
        end = time.perf_counter()
        yield Step(value, middle - start, end - start, parameters)


def sampled_names(parameters, count, temperature=0.5, seed=42):
    """Returns names drawn letter by letter from the model; a lower temperature keeps to likelier letters."""
    draw = random.Random(seed)
    return [sampled_name(parameters, draw, temperature) for _ in range(count)]


def sampled_name(parameters, draw, temperature):
    """Returns one name drawn from the model with the random generator `draw`."""
    keys, values, letters = [], [], []
    token = END
    for position in range(BLOCK):
        scores = next_scores(parameters, token, position, keys, values, math)
        weights = softmax([score / temperature for score in scores], math)
        token = draw.choices(range(VOCABULARY), weights)[0]
        if token == END:
            break
        letters.append(LETTERS[token])
    return "".join(letters)
