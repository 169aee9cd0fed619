# What the tangents of results come from: the tangent of a gradient, say, does not ask for those of values that it is linear in.

cdef enum:
    SCALARS_EACH = 16       # instructions for each array instruction, beyond which a sweep over all is as fast as finding out


@cython.final
cdef class Needed(Sweep):
    """The array instructions that the tangents of some results come from, found from the last one back.

    Each is asked what it `depends` on: it names the operands it has derivatives by to `wants`, which notes them here.
    """

    cdef CTape* t
    cdef int64_t n
    cdef bytearray storages    # by storage: whether its tangent is needed
    cdef bytearray slots       # by slot, or instruction

    def __cinit__(self, Tape tape, int64_t n):
        self.tape, self.t, self.n = tape, &tape.c, n
        self.storages, self.slots = bytearray(len(tape.storages)), bytearray(n)

    cpdef bint wants(self, Operand operand) except -1:
        if operand.kind == ARRAY:
            self.storages[operand.number] = 1
        elif operand.kind == SCALAR and operand.number < self.n:
            self.slots[operand.number] = 1
        return False

    cdef int find(self, list outputs, int64_t first) except -1:
        cdef char* slots = self.slots
        cdef char* storages = self.storages
        cdef int32_t[4] operands
        cdef int64_t i
        cdef int op, k, mask
        for x in outputs:
            if type(x) is Operand:
                self.wants(x)
            elif type(x) is Active and (<Active>x).slot < self.n:
                slots[(<Active>x).slot] = 1
        for i in range(self.n - 1, first - 1, -1):
            op = self.t.opcode[i]
            if op == OP_ARRAY:
                record = self.tape.records[self.t.a[i]]
                slots[i] = slots[i] or self.gives(record.outs if type(record) is Call or type(record) is ProgramCall else (<Record>record).out)
                if slots[i]:
                    record.depends(self)
            elif op == OP_PUT:
                if storages[self.t.a[i]]:
                    slots[self.t.a[i - 1]] = 1
            elif slots[i]:
                if op == OP_GATHER:
                    storages[self.t.a[i]] = 1
                elif op >= FIRST_OPCODE or op == OP_SPECIAL:
                    mask = operands_of(self.t, i, operands)
                    for k in range(4):
                        if mask >> k & 1:
                            slots[operands[k]] = 1
        return 0

    cdef bint gives(self, outs) except -1:
        """Whether the tangent of one of these storages is needed."""
        if isinstance(outs, (list, tuple)):
            for out in outs:
                if self.gives(out):
                    return True
            return False
        return outs is not None and outs >= 0 and self.storages[outs] != 0
