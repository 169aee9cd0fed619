"""The function that the page on backpropagation works through."""

import fastad
from fastad import math


@fastad.record
def f(x, y):
    product = x * y
    wave = math.sin(x)
    return (product + wave) * wave


POINT = (1.5, 0.5)
# How far down each step of f stands in the picture.
ROWS = {0: 1.1, 1: 0.0, 2: 0.0, 3: 1.2, 4: 0.0, 5: 0.6}
