"""hello: the square of a number, and twice it as the derivative."""

from bench.gradbench.problem import Eval, Function


def square(x):
    return x * x


def read(message):
    return (float(message),)


def sample():
    return 1.0


EVAL = Eval(
    name="hello",
    functions={
        "square": Function(lambda way, x: way.value(square, x), float),
        "double": Function(lambda way, x: way.gradient(square, x), float),
    },
    read=read,
    sample=sample,
    sizes=((),),
    timed="double",
)
