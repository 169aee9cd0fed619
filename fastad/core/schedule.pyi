from typing import TypedDict, Unpack

class Switches(TypedDict, total=False):
    constants: bool
    common: bool
    dead: bool
    chains: bool
    runs: bool
    least: int
    mean: float

class Schedule:
    passes: dict[str, int]
    @property
    def runs(self) -> int: ...
    @property
    def instructions(self) -> int: ...
    @property
    def nbytes(self) -> int: ...

def switch(**changes: Unpack[Switches]) -> Switches: ...
