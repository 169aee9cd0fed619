"""Paths of one signature as a trie: what a Code, a path of a recorded function, is told about its place among the others."""

from .. import leaves as _leaves
from ..pytrees import NUMBER
from .code import Plain, Single
from .signature import Arguments


class Branches:
    """What the recorder keeps with a Code: where it branched off, and what branched off from it."""

    __slots__ = ("parent", "fork", "siblings", "derived", "lanes", "exits", "used", "version", "arguments")

    def __init__(self):
        self.parent = None                # the Code whose instructions before `fork` are this one's
        self.fork = 0
        self.siblings: dict = {}          # by instruction: {outcome of the guard: Code}
        self.derived: dict = {}           # by kind and inputs: Code
        self.lanes: dict = {}             # by inputs: Lanes, for maps
        self.exits: tuple = (-1, {})      # (how many paths had been recorded, ways out of a loop that were known then)
        self.used = 0
        self.version = 0                  # of the elements of captured arrays that it is known to be right for
        self.arguments: Arguments | None = None     # those it was recorded with, where arrays are captured


def prepare(code):
    """Makes a new Code a path."""
    code.owner = Branches()
    code.is_number = code.structure is NUMBER and not isinstance(code.outputs[0], Plain)
    code.value_slot = code.outputs[0] if code.is_number and isinstance(code.outputs[0], int) else -1


def owner(code, at):
    """The path that instruction `at` was first recorded with."""
    while code.owner.parent is not None and at <= code.owner.fork:
        code = code.owner.parent
    return code


def is_scalar(code):
    """Whether the result of a path is a single number."""
    if code.structure is not NUMBER:
        return False
    [x] = code.outputs
    if isinstance(x, Plain):
        return _leaves.is_number(x.value)
    return isinstance(x, int) or (type(x) is Single or x.layout[0] == ())


def generators(code):
    """The random number generators that a path draws from."""
    for record in code.tape.records:
        function = getattr(record, "function", None)
        if getattr(record, "draws", False):
            yield function.__self__
