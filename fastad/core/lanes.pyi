class Lanes:
    width: int
    slots: int
    adjoints: int
    step_count: int
    back_count: int
    gradient_count: int

class Points:
    lanes: Lanes
    stopping: bool
    def __init__(self, lanes: Lanes, inputs: list[tuple[int, int]], results: list[tuple[int, int] | None],
                 gradients: dict[int, tuple[int, int]]) -> None: ...

class Worker:
    lost: int
    def __init__(self, points: Points, width: int = 0) -> None: ...
    def run(self, rows: int, start: int, stop: int) -> int: ...
    def failures(self, places: int, guards: int, found: int) -> None: ...
    def stop(self) -> None: ...

def function_on(name: str, x: int, result: int, n: int) -> None: ...
