"""The tape: instructions in contiguous typed arrays, growing as a function is recorded.

Slot i holds the value of instruction i. 17 bytes an instruction, and 8 more for its adjoint while a sweep runs.
"""

from cpython.buffer cimport PyBUF_WRITABLE
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

# Slots are numbered by int32: one more instruction than this is an error, never a wrap. Tests lower it.
cdef int64_t slot_limit = 2**31 - 1


def set_slot_limit(int64_t limit):
    """Sets how many instructions a tape may hold (at most 2**31 - 1); returns the old limit."""
    global slot_limit
    old = slot_limit
    slot_limit = min(limit, <int64_t>2**31 - 1)
    return old


cdef void* larger(void* array, size_t bytes) noexcept nogil:
    cdef void* moved = realloc(array, bytes)
    if moved != NULL:
        fastad_prefer_large_pages(moved, bytes)
    return moved


cdef int grow(CTape* t) except -1 nogil:
    """Doubles the capacity; on failure the tape is as it was and MemoryError is raised."""
    cdef int64_t capacity = min(max(2 * t.capacity, <int64_t>1024), slot_limit)
    if capacity <= t.n:
        with gil:
            raise MemoryError(f"the tape is full: {t.n} instructions is the most one tape holds; "
                              "differentiate a smaller part at a time")
    cdef void* opcode = larger(t.opcode, capacity * sizeof(uint8_t))
    if opcode != NULL:
        t.opcode = <uint8_t*>opcode
    cdef void* a = larger(t.a, capacity * sizeof(int32_t))
    if a != NULL:
        t.a = <int32_t*>a
    cdef void* b = larger(t.b, capacity * sizeof(int32_t))
    if b != NULL:
        t.b = <int32_t*>b
    cdef void* v = larger(t.v, capacity * sizeof(double))
    if v != NULL:
        t.v = <double*>v
    if opcode == NULL or a == NULL or b == NULL or v == NULL:
        with gil:
            raise MemoryError(f"no memory for a tape of {capacity} instructions ({17 * capacity} bytes)")
    t.capacity = capacity
    return 0


cdef class Tape:
    """The instructions of one trace: `opcode`, `a`, `b` and `value` are read-only views, one entry per instruction."""

    def __cinit__(self):
        self.c.constants = <Constant*>calloc(1 << CONSTANT_BITS, sizeof(Constant))
        self.c.literals = <Constant*>calloc(LITERALS, sizeof(Constant))
        if self.c.constants == NULL or self.c.literals == NULL:
            raise MemoryError("no memory for a tape")
        self.records, self.storages = [], []
        self.c.owner = <void*>self

    def __dealloc__(self):
        self.release()
        free(self.c.constants)
        free(self.c.literals)

    cdef void begin(self, uint64_t epoch) noexcept:
        """Empties the tape for a new trace."""
        self.c.n = 0
        self.c.epoch = epoch
        self.c.stamp += 1
        if self.c.stamp == 0:
            memset(self.c.constants, 0, sizeof(Constant) << CONSTANT_BITS)
            memset(self.c.literals, 0, sizeof(Constant) * LITERALS)
            self.c.stamp = 1

    cdef void release(self) noexcept:
        """Gives the memory of the instructions back; the tape is empty."""
        free(self.c.opcode)
        free(self.c.a)
        free(self.c.b)
        free(self.c.v)
        self.c.opcode, self.c.a, self.c.b, self.c.v = NULL, NULL, NULL, NULL
        self.c.n = self.c.capacity = 0

    cdef void forget_arrays(self) noexcept:
        """Drops what the array instructions hold."""
        if self.storages or self.records:
            self.records, self.storages = [], []

    def __len__(self):
        return self.c.n

    @property
    def growing(self):
        """Whether the trace that records on this tape goes on."""
        return self.c.epoch != 0

    @property
    def nbytes(self):
        """Bytes of the instructions recorded so far (the arrays may have room for more)."""
        return 17 * self.c.n

    @property
    def opcode(self):
        """uint8 (n,): the operation of each instruction; `fastad.elementals.opcode_name` gives its name."""
        return View(self, 0).array()

    @property
    def a(self):
        """int32 (n,): slot of the first operand."""
        return View(self, 1).array()

    @property
    def b(self):
        """int32 (n,): slot of the second operand, or the row of a special elemental."""
        return View(self, 2).array()

    @property
    def value(self):
        """float64 (n,): value of each slot, in the unit of the recorded quantity."""
        return View(self, 3).array()


cdef class View:
    """One array of a tape as a read-only buffer that keeps the tape alive."""

    cdef Tape tape
    cdef int which
    cdef Py_ssize_t shape

    def __cinit__(self, Tape tape, int which):
        self.tape = tape
        self.which = which
        self.shape = tape.c.n

    def array(self):
        """The array in NumPy; a copy while the tape is still growing."""
        import numpy
        array = numpy.asarray(self)
        return array.copy() if self.tape.c.epoch else array

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        cdef CTape* t = &self.tape.c
        if flags & PyBUF_WRITABLE == PyBUF_WRITABLE:
            raise BufferError("a tape is read-only")
        self.tape.exports += 1
        if self.which == 0:
            buffer.buf, buffer.itemsize, buffer.format = t.opcode, 1, b"B"
        elif self.which == 1:
            buffer.buf, buffer.itemsize, buffer.format = t.a, 4, b"i"
        elif self.which == 2:
            buffer.buf, buffer.itemsize, buffer.format = t.b, 4, b"i"
        else:
            buffer.buf, buffer.itemsize, buffer.format = t.v, 8, b"d"
        buffer.len = self.shape * buffer.itemsize
        buffer.ndim = 1
        buffer.shape = &self.shape
        buffer.strides = &buffer.itemsize
        buffer.suboffsets = NULL
        buffer.readonly = 1
        buffer.internal = NULL
        buffer.obj = self

    def __releasebuffer__(self, Py_buffer* buffer):
        self.tape.exports -= 1
