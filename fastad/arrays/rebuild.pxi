# Array instructions taken apart and put together: for programs in files, and for derivatives at other values than those that were
# recorded. Nothing is checked here but types: who calls this has checked what it puts together.

cdef enum:
    KEEPS_NOTHING = 0
    KEEPS_VALUE = 1
    KEEPS_LAYOUT = 2         # a stand-in: rules ask for shape and type only

# In place of a value that a rule needs, where no run has given one yet.
cdef object NOT_RUN = type("NotRun", (), {"__repr__": lambda self: "a value that no run has given yet"})()


def operand_parts(Operand x):
    """("constant", value), ("scalar", slot) or ("array", number of the storage, shape, dtype, strides, offset, what it keeps)."""
    if x.kind == CONSTANT:
        return "constant", x.value
    if x.kind == SCALAR:
        return "scalar", x.number
    keeps = KEEPS_NOTHING if x.value is None else KEEPS_VALUE if x.buffer is not None or x.value is NOT_RUN else KEEPS_LAYOUT
    return "array", x.number, x.layout[0], x.layout[1], x.strides, x.offset, keeps


def constant_operand(value):
    """The Operand of a number."""
    cdef Operand x = Operand.__new__(Operand)
    x.kind, x.value = CONSTANT, value
    return x


def scalar_operand(int32_t slot):
    """The Operand of a scalar slot."""
    cdef Operand x = Operand.__new__(Operand)
    x.kind, x.number, x.value = SCALAR, slot, np.float64(0.0)
    return x


def array_operand(int32_t number, tuple layout, strides, Py_ssize_t offset, int keeps, int64_t slot):
    """The Operand of a storage or of a part of it (strides and offset, in bytes); `slot` is the length of the tape before it."""
    cdef Operand x = Operand.__new__(Operand)
    x.kind, x.number, x.layout, x.strides, x.offset, x.slot = ARRAY, number, layout, strides, offset, slot
    if keeps == KEEPS_LAYOUT:
        x.value = np.broadcast_to(np.zeros((), layout[1]), layout[0])
    elif keeps == KEEPS_VALUE:
        x.value = NOT_RUN
    return x


def keeps_result(Record record):
    """Whether an instruction keeps its result for its rule."""
    if type(record) is Elementwise:
        return (<Elementwise>record).v is not None
    if type(record) is SpecialElementwise:
        return (<SpecialElementwise>record).v is not None
    return type(record) is Call and (<Call>record).results is not None


def copy_record(x, int32_t out):
    """Storage `out` with the elements of an Operand; an input for None."""
    cdef Copy record = Copy.__new__(Copy)
    record.x, record.out = x, out
    return record


def constant_record(ndarray value, int32_t out):
    """Storage `out` with the elements of a plain array that nobody changes."""
    cdef Constant record = Constant.__new__(Constant)
    record.value, record.out = value, out
    return record


def elementwise_record(int op, ufunc, list operands, int32_t out, tuple layout, bint keeps):
    """A row of the op table; `layout` is the result's, None for a scalar slot."""
    cdef Elementwise record = Elementwise.__new__(Elementwise)
    record.op, record.ufunc, record.arity, record.out, record.layout = op, ufunc, len(operands), out, layout
    record.x, record.y = operands[0], operands[1] if len(operands) > 1 else None
    record.v = NOT_RUN if keeps else None
    return record


def special_record(int row, ufunc, list operands, int32_t out, bint keeps):
    """A special row of the op table."""
    cdef SpecialElementwise record = SpecialElementwise.__new__(SpecialElementwise)
    record.row, record.ufunc, record.operands, record.out = row, ufunc, operands, out
    record.v = NOT_RUN if keeps else None
    return record


def assign_record(Operand target, Operand x):
    """The elements of `target` become those of x."""
    cdef Assign record = Assign.__new__(Assign)
    record.target, record.x, record.out, record.shape = target, x, target.number, target.layout[0]
    return record


def total_record(Operand x, int32_t out):
    """The sum of all elements."""
    cdef Total record = Total.__new__(Total)
    record.x, record.out = x, out
    return record


def selection_record(Operand x, key, int32_t out):
    """The elements of x at a key of Operands."""
    cdef Selection record = Selection.__new__(Selection)
    record.x, record.key, record.out = x, key, out
    return record


def add_at_record(Operand target, key, Operand x):
    """The elements of x are added to those of `target` at a key of Operands."""
    cdef AddAt record = AddAt.__new__(AddAt)
    record.target, record.key, record.x, record.out = target, key, x, target.number
    return record


def guard_record(Operand x, ndarray expected):
    """The elements of x were these."""
    cdef Guard record = Guard.__new__(Guard)
    record.x, record.expected, record.out = x, expected, -1
    return record


def tracked_record(function, list args, dict kwargs, int32_t out):
    """A call whose result has derivative zero."""
    cdef Tracked record = Tracked.__new__(Tracked)
    record.function, record.args, record.kwargs, record.out, record.outs = function, args, kwargs, out, <int>out
    return record


def call_record(rule, list args, dict kwargs, list places, int32_t out, bint keeps):
    """A call of a function with a rule and one array or scalar as result; `places` as for `record_call`."""
    cdef Call record = Call.__new__(Call)
    record.rule, record.args, record.kwargs, record.out, record.outs = rule, args, kwargs, out, <int>out
    place_operands(record, places)
    record.results = NOT_RUN if keeps else None
    return record


cdef int forget_operands(x) except -1:
    """Lets go of the arrays that the Operands of a nesting keep."""
    cdef Operand operand
    if type(x) is Operand:
        operand = <Operand>x
        if operand.kind == ARRAY and operand.buffer is not None:
            operand.value, operand.buffer = NOT_RUN, None
    elif isinstance(x, (list, tuple)):
        for entry in x:
            forget_operands(entry)
    elif isinstance(x, dict):
        for entry in x.values():
            forget_operands(entry)
    return 0


def forget_values(Tape tape):
    """Lets go of the values that the instructions of a tape keep for their rules; False, and nothing done, where RunValues could not
    give them back.
    """
    for record in tape.records:
        if type(record) is Call and type((<Call>record).outs) is not int:
            return False
    for record in tape.records:
        if type(record) is Elementwise:
            forget_operands([(<Elementwise>record).x, (<Elementwise>record).y])
            if (<Elementwise>record).v is not None:
                (<Elementwise>record).v = NOT_RUN
        elif type(record) is SpecialElementwise:
            forget_operands((<SpecialElementwise>record).operands)
            if (<SpecialElementwise>record).v is not None:
                (<SpecialElementwise>record).v = NOT_RUN
        elif type(record) is Selection:
            forget_operands((<Selection>record).key)
        elif type(record) is AddAt:
            forget_operands((<AddAt>record).key)
        elif type(record) is ProgramCall:
            forget_operands((<ProgramCall>record).args)
        elif type(record) is Call:
            forget_operands((<Call>record).args)
            forget_operands((<Call>record).kwargs)
            if (<Call>record).results is not None:
                (<Call>record).results = NOT_RUN
    return True


# ---- values of another run -----------------------------------------------------------------------------------------------------

cdef class RunValues:
    """Values of one run: `whole(number)` is the array of a storage, which nothing will change, `slot(i)` the value of a slot."""

    cdef object of_storage, of_slot
    cdef dict arrays

    def __cinit__(self, of_storage, of_slot):
        self.of_storage, self.of_slot, self.arrays = of_storage, of_slot, {}

    cdef ndarray whole(self, int32_t number):
        found = self.arrays.get(number)
        if found is None:
            found = self.arrays[number] = np.array(self.of_storage(number))
        return found

    cdef object result(self, int32_t out, int64_t i):
        return np.float64(self.of_slot(i)) if out < 0 else self.whole(out)

    cdef Operand operand(self, x):
        """An Operand with its value in this run, if it keeps that."""
        cdef Operand old = x
        cdef Operand new
        if old is None or old.kind == CONSTANT or (old.kind == ARRAY and (old.value is None or (old.buffer is None and
                                                                                               old.value is not NOT_RUN))):
            return old
        new = Operand.__new__(Operand)
        new.kind, new.number, new.layout, new.strides = old.kind, old.number, old.layout, old.strides
        new.offset, new.slot = old.offset, old.slot
        if old.kind == SCALAR:
            new.value = np.float64(self.of_slot(old.number))
        else:
            new.buffer = self.whole(old.number)
            new.value = part_of(new.buffer, old)
        return new

    def tree(self, value):
        """A nesting with all its Operands."""
        return filled(value, self.operand_of)

    def operand_of(self, x):
        return self.operand(x)

    def record(self, Record old, int64_t i):
        """Instruction i with the values of this run; itself if it keeps none."""
        cdef Elementwise elementwise
        cdef SpecialElementwise special
        cdef Call call
        cdef ProgramCall program_call
        kind = type(old)
        if kind is Elementwise:
            elementwise = Elementwise.__new__(Elementwise)
            elementwise.op, elementwise.arity, elementwise.ufunc = (<Elementwise>old).op, (<Elementwise>old).arity, (<Elementwise>old).ufunc
            elementwise.x, elementwise.y = self.operand((<Elementwise>old).x), self.operand((<Elementwise>old).y)
            elementwise.out, elementwise.layout = old.out, (<Elementwise>old).layout
            elementwise.v = None if (<Elementwise>old).v is None else self.result(old.out, i)
            return elementwise
        if kind is SpecialElementwise:
            special = SpecialElementwise.__new__(SpecialElementwise)
            special.row, special.ufunc, special.out = (<SpecialElementwise>old).row, (<SpecialElementwise>old).ufunc, old.out
            special.operands = self.tree((<SpecialElementwise>old).operands)
            special.v = None if (<SpecialElementwise>old).v is None else self.result(old.out, i)
            return special
        if kind is Selection:
            return selection_record((<Selection>old).x, self.tree((<Selection>old).key), old.out)
        if kind is AddAt:
            return add_at_record((<AddAt>old).target, self.tree((<AddAt>old).key), (<AddAt>old).x)
        if kind is Call and type((<Call>old).outs) is int:
            call = Call.__new__(Call)
            call.rule, call.out, call.outs = (<Call>old).rule, old.out, (<Call>old).outs
            call.args = self.tree((<Call>old).args)
            call.kwargs = {name: self.tree(a) for name, a in (<Call>old).kwargs.items()}
            place_operands(call, [place if place is not None or (<Call>old).operands[k] is None else ((<Call>old).several,)
                                  for k, place in enumerate((<Call>old).places)])
            call.results = None if (<Call>old).results is None else self.result((<Call>old).outs, i)
            return call
        if kind is ProgramCall:
            program_call = ProgramCall.__new__(ProgramCall)
            program_call.function, program_call.outs, program_call.out = (<ProgramCall>old).function, (<ProgramCall>old).outs, old.out
            program_call.args = self.tree((<ProgramCall>old).args)
            return program_call
        return old
