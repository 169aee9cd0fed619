"""`F.map`: a program for every row of a batch, the same as a loop of calls.

    rows ──▶ the path taken last, for all of them at once ──▶ results
                 │ rows that a guard does not hold for, by guard and what it found
                 ├── the path with that outcome is known ──▶ they go on there
                 └── not known ──▶ the first of them is called by itself, which records it

Paths of scalars run on lanes (core/lanes), others row after row without the GIL; what neither can do is called row by row.
"""

import functools
import itertools

import numpy as np

from .. import debugging, transforms
from .. import leaves as _leaves
from ..core import scalar
from ..errors import TraceError, user_line
from ..pytrees import flatten, same_structure, unflatten_derivatives
from .batches import Batch, Results, Shared, layout_of
from .code import Plain, RowWorker, guard_at, lanes_of
from .derivatives import Chosen
from .pacing import Progress, spread
from .paths import RunEagerly
from .recording import elements_read
from .signature import Arguments

WHATS = ("value", "grad", "value_and_grad", "jacobian", "hessian")
KINDS = {"value": "value", "grad": "gradient", "value_and_grad": "gradient", "jacobian": "reverse", "hessian": "elements"}
SEVERAL = ("jacobian", "hessian")        # what takes a sweep for each of several results: on lanes only
MOST_SWEPT = 4_000_000   # instructions of the sweeps of all results, of which each is written down
MOST_EXITS = 1000        # guards that are looked at for ways out
MOST_HOPS = 512          # from one path to the next, before a row is called by itself


def map_rows(program, args, what, in_axes, argnums, threads, progress, kwargs):
    """What `Program.map` gives."""
    if what not in WHATS:
        raise ValueError(f"map: what must be one of {', '.join(map(repr, WHATS))}, not {what!r}")
    if isinstance(threads, bool) or not isinstance(threads, (int, np.integer)):
        raise TypeError(f"map: threads must be a whole number, not {threads!r}")
    if threads < 1:
        raise ValueError(f"map: threads must be at least 1, not {threads}")
    if what != "value":
        transforms._positions(program._name, argnums, len(args))
    if scalar.tracing() and any([_leaves.is_active(leaf) for leaf in flatten((args, kwargs))[0]]):
        place, code = user_line()
        raise TraceError(f"{code} at {place}: map takes plain numbers, and has no derivative itself; call {program._name} for each "
                         'row, or take the derivative with map (what="grad")')
    batch = Batch(program._name, args, in_axes, kwargs)
    if not batch.count:
        from .empty import empty_results
        return empty_results(program, batch, what, argnums)
    with Progress(progress, batch.count, program._name) as bar:
        return _Map(program, batch, what, argnums, int(threads), bar).run()


def before(rows, limit):
    """Those of some rows, a range or an array, whose number is less than a limit."""
    return rows[:max(0, limit - rows.start)] if type(rows) is range else rows if not len(rows) or rows[-1] < limit else rows[rows < limit]


def chosen(rows, places):
    """The numbers of the rows at some places of a range or an array."""
    return places + rows.start if type(rows) is range else rows[places]


def failures(worker):
    """Where and at which guards rows left a path on lanes, and what was found there: three arrays with an entry for each."""
    arrays = np.empty(worker.lost, np.int64), np.empty(worker.lost, np.int64), np.empty(worker.lost)
    worker.failures(*(array.ctypes.data for array in arrays))
    return arrays


class _Map:
    """One map under way."""

    def __init__(self, program, batch, what, argnums, threads, bar):
        self.program, self.batch, self.what, self.argnums, self.threads, self.bar = program, batch, what, argnums, threads, bar
        self.results = Results(program._name, batch.count)
        self.again = False               # whether rows may have to be called again
        self.error, self.limit = None, batch.count     # what a row raised, and that row: those behind it do not count
        call = program if what == "value" else getattr(program, what)
        self.call = functools.partial(call, **batch.kwargs, **({} if what == "value" else {"argnums": argnums}))

    def run(self):
        groups = self.batch.groups() or [range(self.batch.count)]
        try:
            self.results.set_like(self.call(*self.batch.row(0)), 0)
        except Exception as error:
            self.fail(error, 0)
        for rows in groups:
            self.group(rows if type(rows) is range else np.asarray(rows, np.int64))
        self.call_again()
        if self.error is not None:
            self.error.add_note(f"raised by row {self.limit} of {self.batch.count} in {self.program._name}.map")
            raise self.error
        return self.results.tree()

    def fail(self, error, row):
        self.error, self.limit = error, row

    def one_by_one(self, rows, moves=1):
        """Calls the program for each of these rows; the bar moves on by so many."""
        for row in rows if type(rows) is range else rows.tolist():
            if row >= self.limit:
                return
            try:
                found = self.call(*self.batch.row(row))
            except Exception as error:
                self.fail(error, row)
                return
            self.results.put(found, row)
            self.bar.add(moves)

    def call_again(self):
        """Calls the program for rows whose derivatives are not finite: where zero wins may differ between a row's sweeps and those of
        the map, unless they are the same.
        """
        if self.again and self.error is None:
            finite = np.ones(self.batch.count, bool)
            for array in self.results.arrays:
                finite &= np.isfinite(array).reshape(self.batch.count, -1).all(axis=1)
            self.one_by_one(np.flatnonzero(~finite), 0)

    # ---- rows of one signature ----

    def group(self, rows):
        """All rows of one signature: an array of their numbers, or a range."""
        rows = before(rows, self.limit)
        if not len(rows):
            return
        if rows[0] != 0:
            self.one_by_one(rows[:1])
            rows = rows[1:] if rows[0] < self.limit else rows[:0]
        plan = _Plan.of(self, int(rows[0])) if len(rows) else None
        if plan is None:
            self.one_by_one(rows if not len(rows) or rows[0] else rows[1:])
            return
        # From the longest path every shorter way out of a loop is one step away.
        start = max(plan.paths.codes, key=lambda code: code.n, default=plan.paths.last)
        waiting = {id(start): (start, rows, 0)}
        while waiting:
            code, rows, hops = waiting.pop(next(iter(waiting)))
            rows = before(rows, self.limit)
            if not len(rows):
                continue
            missed = plan.replay(code, rows) if hops < MOST_HOPS else None
            if missed is None:
                self.one_by_one(rows)
                continue
            for (at, outcome), left in missed:
                self.hand_on(plan, code, at, outcome, left, waiting, hops + 1)

    def hand_on(self, plan, code, at, outcome, rows, waiting, hops):
        """Rows that found another outcome at an instruction of a path go on with the path that has it."""
        other = plan.beside(code, at, outcome)
        if other is None:
            self.one_by_one(rows[:1])
            rows = rows[1:]
            other = plan.beside(code, at, outcome)
        if other is None:
            self.one_by_one(rows)
        elif len(rows):
            if id(other) in waiting:
                _, known, more = waiting[id(other)]
                rows, hops = np.sort(np.concatenate([known, rows])), max(hops, more)
            waiting[id(other)] = other, rows, hops


class _Plan:
    """How rows of one signature are replayed."""

    def __init__(self, one, paths, differentiated):
        self.map, self.paths, self.differentiated = one, paths, differentiated

    @classmethod
    def of(cls, one, row):
        """None where rows must be called one by one."""
        batch, program = one.batch, one.program
        if one.what not in KINDS or scalar.tracing() or debugging.is_on():
            return None
        args = batch.row(row)
        if one.what == "value":
            arguments, differentiated = Arguments(args, batch.kwargs), ()
        else:
            chosen = Chosen.of(program._name, one.argnums, args, batch.kwargs)
            if chosen is None:
                return None
            arguments, differentiated = chosen.arguments, chosen.inputs
        paths = program._find(arguments)
        if paths.reason is not None or paths.last is None or any(code.draws for code in paths.codes):
            return None
        plan = cls(one, paths, differentiated)
        plan.arguments, plan.rebuild = arguments, None if one.what == "value" else chosen.rebuild
        plan.inputs = [batch.columns[k] if k < len(batch.columns) else Shared(arguments.leaves[j])
                       for j, k in enumerate(arguments._dynamic)]
        # Placed once: their arrays live as long as this plan.
        plan.placed = [column.placed() for column in plan.inputs]
        return plan

    def beside(self, code, at, outcome):
        """The path that goes on with this outcome; None if it is not known, or not to be replayed."""
        if at < 0 or at >= code.n or self.paths.reason is not None:
            return None
        other = self.paths.sibling(code, at, outcome)
        return None if other is None or other is code or other.draws else other

    def replay(self, code, rows):
        """Replays rows on a path; a list of ((instruction, what was found there), rows) that left it; None if it can not be replayed."""
        one, target = self.map, self.target(code)
        if target is None:
            return None
        self.make_room(code, int(rows[0]))
        # All rows, which nothing has put into another order, need no list of their numbers.
        numbers = None if len(rows) == one.batch.count else np.ascontiguousarray(rows, np.int64)
        outputs, constants = self.outputs(code, target)
        make, width = self.workers(code, target, outputs, rows)
        workers = spread(make, len(rows), numbers, one.threads, one.bar, width)
        groups, lost = self.left_at_guards(code, workers) if width > 1 else self.left(workers)
        done = len(rows) - len(lost)
        self.paths.counts.replays += done
        if done:
            self.paths.counts.in_a_row, self.paths.last = 0, code
            for place, value in constants:
                one.results.arrays[place][chosen(rows, np.delete(np.arange(len(rows)), lost))] = value
        return [(key, chosen(rows, places)) for key, places in groups]

    def target(self, code):
        """The path with what is recorded behind it for the derivative; None where rows can not be replayed on it."""
        one, kind = self.map, KINDS[self.map.what]
        if self.paths.reason is not None or not code.live_arrays() or (one.what in SEVERAL and not code.numeric):
            return None
        try:
            target = self.paths.code_for(code, kind, self.differentiated, self.arguments)
        except RunEagerly:
            return None
        if target is None or (kind == "gradient" and target is code and (not code.numeric or self.lanes(code, code) is None)):
            return None
        if one.what in SEVERAL:
            if not all(isinstance(x, (int, Plain)) for x in target.outputs) or target.n * len(target.outputs) > MOST_SWEPT \
                    or self.lanes(code, target) is None:
                return None
            one.again |= target is not code or sum(np.size(self.arguments.leaves[k]) for k in self.differentiated) < len(code.outputs)
        return target

    def workers(self, code, target, outputs, rows):
        """(what makes a worker, how many rows it takes at once: 1 where it does not work on lanes)"""
        inputs = [(address, stride) for address, stride, _ in self.placed]
        lanes = self.lanes(code, target) if target is code or self.map.what in SEVERAL else None
        if lanes is None:
            return functools.partial(RowWorker, target, inputs, [result for result in outputs if result is not None]), 1
        from ..core.lanes import Points, Worker
        derivatives = self.derivatives(code, target)
        # Those that are zero on a path are not written.
        if lanes.gradient_count < sum(np.size(self.arguments.leaves[k]) for _, k in derivatives):
            self.set_to_zero(code, rows)
        points = Points(lanes, inputs, [None if result is None else result[1] for result in outputs], derivatives)
        return functools.partial(Worker, points), lanes.width

    def set_to_zero(self, code, rows):
        """The derivatives of rows."""
        first = len(code.outputs) if self.map.what == "value_and_grad" else 0
        for array in self.map.results.arrays[first:]:
            array[slice(rows.start, rows.stop) if type(rows) is range else rows] = 0.0

    def lanes(self, code, target):
        """The path, or what is recorded behind it, on lanes, made once."""
        gradient = frozenset(self.differentiated)
        shared = frozenset(k for k, column in enumerate(self.inputs) if type(column) is Shared)
        exits = self.exits(code)
        key = target is code, gradient, shared, tuple(exits)
        if key not in code.owner.lanes:
            try:
                code.owner.lanes[key] = lanes_of(target, gradient, shared, self.map.program._fast_math, exits)
            except NotImplementedError:
                code.owner.lanes[key] = None
        return code.owner.lanes[key]

    def exits(self, code):
        """{guard: slots} of the guards of a path behind which, if they fail, nothing is left to be done: ways out of a loop.

        The results of such rows are values from before the guard, and so the rows need not go over to the path that ends there.
        """
        if self.map.what != "value" or code.guards > MOST_EXITS or not all(isinstance(x, int) for x in code.outputs):
            return {}
        recordings = self.paths.counts.recordings
        if code.owner.exits[0] != recordings:
            code.owner.exits = recordings, self.find_exits(code)
        return code.owner.exits[1]

    def find_exits(self, code):
        found: dict = {}
        for k in range(code.guards):
            at, is_value, expected = guard_at(code, k)
            other = None if is_value else self.beside(code, at, not expected)
            if other is not None and guard_at(other, other.guards - 1)[0] == at and same_structure(other.structure, code.structure) \
                    and all(isinstance(x, int) and x < at for x in other.outputs):
                found[k] = other.outputs
        return found

    def derivatives(self, code, target):
        """{(result, input): (address, stride)}: where the derivatives of each result by each input go."""
        results, what, inputs = self.map.results, self.map.what, self.differentiated
        if what == "value":
            return {}
        if what == "hessian":
            # The results are the elements of the gradient.
            rows = [(j * len(inputs), element) for j, element in elements_read(code, inputs)]
        elif what == "jacobian":
            rows = [(i * len(inputs), 0) for i in range(len(code.outputs))]
        else:
            rows = [(0 if what == "grad" else len(code.outputs), 0)]
        found = {}
        for i, (first, element) in enumerate(rows):
            for j, k in enumerate(inputs):
                address, stride = results.placed(first + j)
                found[i, k] = address + 8 * element * np.size(self.arguments.leaves[k]), stride
        return found

    def outputs(self, code, target):
        """(results, constants): for each result of the path, and of a derivative behind it, (what the Code refers to, where it goes, its
        array) or None; and (place, value) of what is the same on the whole path.
        """
        results, what = self.map.results, self.map.what
        if what in SEVERAL:
            return [None] * len(target.outputs), []
        places = [(x, None if what == "grad" else place) for place, x in enumerate(code.outputs)]
        if target is not code:
            places += zip(target.outputs, range(0 if what == "grad" else len(code.outputs), len(results.arrays)))
        found, constants = [], []
        for x, place in places:
            if place is not None and isinstance(x, Plain):
                constants.append((place, x.value))
            found.append(None if place is None or isinstance(x, Plain) else (x, results.placed(place), results.arrays[place]))
        return found, constants

    def make_room(self, code, row):
        """Makes the arrays of the results ready for those of a path; ValueError where rows differ in structure or shape."""
        results, what = self.map.results, self.map.what
        if what in SEVERAL:
            self.check_alike(code, row)
            return
        layouts = [] if what == "grad" else [layout_of(x) for x in code.outputs]
        if what == "value":
            results.check(code.structure, [shape for shape, _ in layouts], row)
        for place, (_, dtype) in enumerate(layouts):
            if dtype.kind not in "biufc":
                raise TypeError(f"{results.name}.map: the result of row {row} holds something of which no array can be made")
            # A gradient's value is a float.
            results.promote(place, dtype if what == "value" or dtype == np.float32 else np.dtype(float))

    def check_alike(self, code, row):
        """ValueError unless the derivatives of a path have the structure of those of the other rows."""
        inputs = [np.shape(self.arguments.leaves[k]) for k in self.differentiated]
        results = inputs if self.map.what == "hessian" else [layout_of(x)[0] for x in code.outputs]
        rows = [self.rebuild([np.zeros(result + shape) for shape in inputs]) for result in results]
        leaves, structure = flatten(self.rebuild(rows) if self.map.what == "hessian" else unflatten_derivatives(code.structure, rows))
        self.map.results.check(structure, [np.shape(leaf) for leaf in leaves], row)

    # ---- rows that left ----

    def left_at_guards(self, code, workers):
        """Which rows left a path on lanes: their places by guard and what it found, those with the first row first; and all places."""
        if not any(worker.lost for worker in workers):
            return [], []
        places, guards, found = map(np.concatenate, zip(*map(failures, workers)))
        order = np.lexsort((places, guards))
        lost, guards, found = places[order], guards[order], found[order]
        groups = []
        for start, stop in itertools.pairwise([*np.flatnonzero(np.diff(guards, prepend=-1)).tolist(), len(guards)]):
            at, is_value, expected = guard_at(code, guards[start])
            if not is_value:
                groups.append(((at, not expected), lost[start:stop]))
                continue
            bits = found[start:stop].view(np.int64)
            for one in np.unique(bits):
                same = np.flatnonzero(bits == one)
                groups.append(((at, float(found[start + same[0]]).hex()), lost[start + same]))
        return sorted(groups, key=lambda group: group[1][0]), lost

    def left(self, workers):
        """The same of a path that was replayed row by row."""
        groups: dict = {}
        missed = sorted((missed for worker in workers for missed in worker.missed), key=lambda missed: missed[0])
        for place, at, outcome in missed:
            groups.setdefault((at, outcome), []).append(place)
        return [(key, np.array(places, np.int64)) for key, places in groups.items()], [place for place, _, _ in missed]
