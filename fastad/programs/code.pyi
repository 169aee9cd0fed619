from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastad.core.tape import Tape

class Code:
    tape: Tape
    inputs: list[Any]
    outputs: list[Any]
    n: int
    structure: Any
    owner: Any
    draws: bool
    def __init__(self, tape: Tape, inputs: list[Any], outputs: list[Any]) -> None: ...
    def __getattr__(self, name: str) -> Any: ...

class Plain:
    value: Any
    def __init__(self, value: Any) -> None: ...

class Single:
    operand: Any
    def __init__(self, operand: Any) -> None: ...

class OneStep:
    tape: Tape
    arrays: list[NDArray[Any]]
    def __init__(self, code: Code, leaves: list[Any]) -> None: ...
    def scalars(self) -> NDArray[np.float64]: ...
    def value(self, operand: Any) -> Any: ...
    def go_on(self, first: int, stop: int) -> bool: ...

class OneStepSweep:
    arrays: list[NDArray[np.float64] | None]
    def __init__(self, tape: Tape, values: OneStep | None = None) -> None: ...
    def scalars(self) -> NDArray[np.float64]: ...
    def reverse(self, first: int, stop: int) -> None: ...

class Steps:
    possible: bool
    def __init__(self, replay: Any, consts: int, carry: int) -> None: ...
    def run(
        self, consts: list[Any], carry: list[NDArray[Any]], xs: list[NDArray[Any]], ys: list[NDArray[Any]],
        kept: list[NDArray[Any]], first: int, stop: int,
    ) -> int: ...

def __getattr__(name: str) -> Any: ...
