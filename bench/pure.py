"""Reverse-mode differentiation with one Python object per operation, the peer that fastad is measured by.

Every `Value` holds its number, the values it was computed from and its partials by them. The reverse sweep
visits values in reverse topological order and adds `adjoint * partial` to the adjoint of each operand.
"""

import math


class Value:
    """A float that remembers how it was computed: `data` is the number, `grad` the adjoint."""

    __slots__ = ("data", "grad", "operands", "partials")

    def __init__(self, data, operands=(), partials=()):
        self.data = data
        self.grad = 0.0
        self.operands = operands
        self.partials = partials

    def __add__(self, other):
        if not isinstance(other, Value):
            other = Value(other)
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __sub__(self, other):
        if not isinstance(other, Value):
            other = Value(other)
        return Value(self.data - other.data, (self, other), (1.0, -1.0))

    def __rsub__(self, other):
        return Value(other - self.data, (self,), (-1.0,))

    def __mul__(self, other):
        if not isinstance(other, Value):
            other = Value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def __truediv__(self, other):
        if not isinstance(other, Value):
            other = Value(other)
        quotient = self.data / other.data
        return Value(quotient, (self, other), (1.0 / other.data, -quotient / other.data))

    def __rtruediv__(self, other):
        quotient = other / self.data
        return Value(quotient, (self,), (-quotient / self.data,))

    def __pow__(self, exponent):
        return Value(self.data**exponent, (self,), (exponent * self.data ** (exponent - 1),))

    def __neg__(self):
        return Value(-self.data, (self,), (-1.0,))

    __radd__ = __add__
    __rmul__ = __mul__

    def __lt__(self, other):
        return self.data < (other.data if isinstance(other, Value) else other)

    def __gt__(self, other):
        return self.data > (other.data if isinstance(other, Value) else other)

    def backward(self):
        """Adds to `grad` of every value that this one depends on the derivative of this one by it."""
        self.grad = 1.0
        for value in reversed(topological_order(self)):
            adjoint = value.grad
            for operand, partial in zip(value.operands, value.partials):
                operand.grad += adjoint * partial


def topological_order(last):
    """Returns `last` and the computed values it depends on, each after its operands, without independents.

    A depth-first search with its own stack, so that a chain longer than Python's recursion limit is no error.
    """
    order = []
    visited = {last}
    unfinished = []
    value, rest = last, iter(last.operands)
    while True:
        for operand in rest:
            if operand.operands and operand not in visited:
                visited.add(operand)
                unfinished.append((value, rest))
                value, rest = operand, iter(operand.operands)
                break
        else:
            order.append(value)
            if not unfinished:
                return order
            value, rest = unfinished.pop()


def exp(x):
    """Returns e to the power x for a `Value`."""
    result = math.exp(x.data)
    return Value(result, (x,), (result,))


def log(x):
    """Returns the natural logarithm of a `Value`."""
    return Value(math.log(x.data), (x,), (1.0 / x.data,))


def value_and_grad(f):
    """Returns a function giving f's value and its gradient by the first argument.

    That argument is a nesting of dicts and lists of floats, and the gradient has its structure; further
    arguments pass through to f as they are.
    """

    def differentiated(parameters, *rest):
        lifted = mapped(Value, parameters)
        result = f(lifted, *rest)
        result.backward()
        return result.data, mapped(gradient_of, lifted)

    return differentiated


def gradient_of(value):
    """Returns the adjoint that the last `backward()` left in a value."""
    return value.grad


def mapped(function, tree):
    """Returns the nesting of dicts and lists with `function` applied to each of its numbers."""
    if isinstance(tree, dict):
        return {key: mapped(function, branch) for key, branch in tree.items()}
    if isinstance(tree, list):
        return [mapped(function, branch) for branch in tree]
    return function(tree)
