# Calls of whole programs: one record, whose values and derivatives an object of the program's own computes.

@cython.final
cdef class ProgramCall(Record):
    """A body called with these arguments; its results are storages, 0-d ones for numbers.

    What a body has: `replayed(args)` gives the list of its results as plain values. `reverse(args, w, chosen, recording)` the
    adjoints by the chosen arguments, a list of positions, for adjoints w of the results (None for one without derivative).
    `tangent(args, t, chosen, recording)` the tangents of all results for those of the chosen arguments. Where `recording` is
    true the arguments may be active, and what is given back is; else everything is plain.
    """

    cdef readonly object function    # the body
    cdef readonly list args          # an Operand for every active value and every array; numbers
    cdef readonly list outs          # numbers of the storages of the results; None for one that is no part of the trace

    cdef object compute(self, values):
        return self.function.replayed([filled(a, values) for a in self.args])

    cdef list chosen(self, Sweep sweep, bint moving):
        """Positions of the arguments by which a derivative is asked for; with `moving` of those that have a tangent."""
        cdef list found = []
        for k, a in enumerate(self.args):
            if type(a) is Operand and ((<Operand>a).layout is None or (<Operand>a).layout[1].kind == "f") \
                    and (sweep.get(a) is not None if moving else sweep.wants(a)):
                found.append(k)
        return found

    def depends(self, Sweep sweep):
        if not self.chosen(sweep, False):
            return False
        for out in self.outs:
            if out is not None and has_floats(sweep, out):
                (<RecordingSweep>sweep).mark(out)
        return True

    def reverse(self, Sweep sweep, int64_t i):
        w = adjoints_of(sweep, self.outs, i)
        if w is None:
            return
        chosen = self.chosen(sweep, False)
        if not chosen:
            return
        w = [None if out is None or not has_floats(sweep, out) else part if part is not None else np.zeros(*sweep.layout(out))
             for out, part in zip(self.outs, w)]
        args = [filled(a, sweep.value) for a in self.args]
        for k, part in zip(chosen, self.function.reverse(args, w, chosen, type(sweep) is RecordingSweep)):
            sweep.add(self.args[k], part, False)

    def tangent(self, Sweep sweep, int64_t i):
        chosen = self.chosen(sweep, True)
        tangents = [None] * len(self.outs)
        if chosen:
            args = [filled(a, sweep.value) for a in self.args]
            tangents = self.function.tangent(args, [sweep.get(self.args[k]) for k in chosen], chosen,
                                             type(sweep) is RecordingSweep)
        for out, part in zip(self.outs, tangents):
            if out is not None:
                sweep.put(out, i, part if has_floats(sweep, out) else None)


cdef bint has_floats(Sweep sweep, int32_t out) except -1:
    return sweep.layout(out)[1].kind == "f"


def record_program(body, list args, list results):
    """The active values of a call of a body, `results` being its plain ones: numbers and arrays that nothing else refers to.

    Whole numbers and decisions are tracked on a tape for replay, and plain elsewhere.
    """
    cdef CTape* t = tape_in_progress()
    cdef ProgramCall instruction = ProgramCall.__new__(ProgramCall)
    cdef ActiveArray x
    cdef list actives = []
    instruction.function, instruction.out, instruction.outs = body, -1, []
    instruction.args = [operand_of(t, a, True) if is_traced(a) or type(a) is ndarray else a for a in args]
    for result in results:
        if isinstance(result, float) or is_floating(result):
            check_dtype(np.float64 if isinstance(result, float) else result.dtype)
            x = fresh(t, result if type(result) is ndarray and PyArray_OWNS(result) else np.array(result))
            x.scalar = type(result) is not ndarray
        elif t.recording:
            x = tracked_storage(t, result)
        else:
            actives.append(result)
            instruction.outs.append(None)
            continue
        actives.append(x)
        instruction.outs.append(<int>x.storage.number)
    append_record(t, instruction, 0.0)
    return [wrap(t, gather(t, <ActiveArray>active, 0)) if isinstance(result, float) else active
            for active, result in zip(actives, results)]
