"""The tape: instructions in contiguous typed arrays, growing as a function is recorded.

Slot i holds the value of instruction i. 17 bytes an instruction, and 8 more for its adjoint while a sweep runs.
"""

from cpython.buffer cimport PyBUF_WRITABLE
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

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
    cdef void* places = t
    if t.places != NULL:
        places = larger(t.places, capacity * sizeof(int64_t))
        if places != NULL:
            t.places = <int64_t*>places
    if opcode == NULL or a == NULL or b == NULL or v == NULL or places == NULL:
        with gil:
            raise MemoryError(f"no memory for a tape of {capacity} instructions ({17 * capacity} bytes)")
    t.capacity = capacity
    return 0


# ---- the user's line per instruction -----------------------------------------------------------------------------------

cdef extern from *:
    """
    #include <Python.h>
    #include <frameobject.h>

    /* The code object (borrowed) and instruction offset of the innermost frame that `skips` does not refuse. */
    """
    ctypedef struct PyFrameObject
    ctypedef struct PyCodeObject
    PyFrameObject* PyEval_GetFrame() noexcept
    PyCodeObject* PyFrame_GetCode(PyFrameObject* frame) noexcept
    PyFrameObject* PyFrame_GetBack(PyFrameObject* frame) noexcept
    int PyFrame_GetLasti(PyFrameObject* frame) noexcept
    void Py_XDECREF(void* o) noexcept
    void Py_XINCREF(void* o) noexcept

cdef enum:
    LIBRARY = -1             # a code object of fastad's, NumPy's or SciPy's: the user's line is further out
    NOWHERE = -2             # in place of the number of the code that wrote last: nothing more is noted

cdef dict library_codes = {}     # by the address of a code object: the object, and whether it is a library's


cdef int64_t number_of_code(Tape tape, object code) except -2:
    """The number of a code object among those of a tape; LIBRARY for one that is not the user's."""
    # Not by the code object itself, whose hash takes longer than an operation.
    cdef object found = library_codes.get(<size_t><void*>code)
    if found is None:
        from fastad.errors import is_library_file
        found = library_codes[<size_t><void*>code] = code, is_library_file(code.co_filename)
    if (<tuple>found)[1]:
        return LIBRARY
    for k in range(len(tape.codes) - 1, max(-1, len(tape.codes) - 9), -1):
        if tape.codes[k] is code:
            return k
    tape.codes.append(code)
    return len(tape.codes) - 1


cdef void note_place(CTape* t, int64_t i) noexcept:
    """Notes the user's code object and offset in it: (number of the code << 32) + offset, -1 where there is none."""
    cdef Tape tape = <Tape>t.owner
    cdef PyFrameObject* frame = PyEval_GetFrame()
    cdef PyFrameObject* outer
    cdef PyCodeObject* code
    cdef int64_t number = LIBRARY
    if tape.last_number == NOWHERE:
        t.places[i] = -1
        return
    if frame != NULL:
        # Nearly always the code object that wrote last.
        code = PyFrame_GetCode(frame)
        Py_XDECREF(code)
        if <void*>code == tape.last_code:
            t.places[i] = tape.last_number + PyFrame_GetLasti(frame)
            return
    t.places[i] = -1
    if frame == NULL:
        return
    Py_XINCREF(frame)
    while frame != NULL:
        code = PyFrame_GetCode(frame)
        number = number_of_code(tape, <object>code)
        Py_XDECREF(code)
        if number != LIBRARY:
            tape.last_code, tape.last_number = <void*>code, number << 32
            t.places[i] = tape.last_number + PyFrame_GetLasti(frame)
            break
        outer = PyFrame_GetBack(frame)
        Py_XDECREF(frame)
        frame = outer
    Py_XDECREF(frame)


cdef class Tape:
    """The instructions of one trace: `opcode`, `a`, `b` and `value` are read-only views, one entry per instruction."""

    def __cinit__(self):
        self.c.constants = <Constant*>calloc(1 << CONSTANT_BITS, sizeof(Constant))
        self.c.literals = <Constant*>calloc(LITERALS, sizeof(Constant))
        if self.c.constants == NULL or self.c.literals == NULL:
            raise MemoryError("no memory for a tape")
        self.records, self.storages, self.codes, self.plain_arrays = [], [], [], {}
        self.c.owner = <void*>self

    def __dealloc__(self):
        self.release()
        free(self.c.constants)
        free(self.c.literals)

    cdef void begin(self, uint64_t epoch) noexcept:
        """Empties the tape for a new trace."""
        if self.codes:
            self.codes = []
        free(self.c.places)
        self.c.places = NULL
        self.watch = self.buffers = None
        self.c.n = 0
        self.resume(epoch)

    cdef void resume(self, uint64_t epoch) noexcept:
        """Goes on behind the instructions that are there, in a new trace."""
        self.c.epoch = epoch
        self.last_code, self.last_number = NULL, 0
        self.c.stamp += 1
        if self.c.stamp == 0:
            memset(self.c.constants, 0, sizeof(Constant) << CONSTANT_BITS)
            memset(self.c.literals, 0, sizeof(Constant) * LITERALS)
            self.c.stamp = 1

    def copy(self):
        """A tape with the same instructions that can be recorded on further."""
        cdef Tape other = Tape()
        cdef int64_t n = self.c.n
        while other.c.capacity < n + 1:
            other.c.n = other.c.capacity
            grow(&other.c)
        memcpy(other.c.opcode, self.c.opcode, n)
        memcpy(other.c.a, self.c.a, n * sizeof(int32_t))
        memcpy(other.c.b, self.c.b, n * sizeof(int32_t))
        memcpy(other.c.v, self.c.v, n * sizeof(double))
        other.c.n = n
        other.records, other.storages, other.codes = list(self.records), list(self.storages), list(self.codes)
        if self.c.places != NULL:
            other.note_places()
            memcpy(other.c.places, self.c.places, n * sizeof(int64_t))
        return other

    cdef void release(self) noexcept:
        """Gives the memory of the instructions back; the tape is empty."""
        free(self.c.opcode)
        free(self.c.a)
        free(self.c.b)
        free(self.c.v)
        free(self.c.places)
        self.c.opcode, self.c.a, self.c.b, self.c.v, self.c.places = NULL, NULL, NULL, NULL, NULL
        self.c.n = self.c.capacity = 0

    def note_places(self):
        """From now on the user's place is noted for every instruction."""
        cdef int64_t i
        if self.c.places == NULL:
            if self.c.capacity == 0:
                grow(&self.c)
            self.c.places = <int64_t*>larger(NULL, self.c.capacity * sizeof(int64_t))
            if self.c.places == NULL:
                raise MemoryError("no memory for the places of instructions")
            for i in range(self.c.n):
                self.c.places[i] = -1

    def leave_places(self):
        """What is written from now on has no place of the user's."""
        self.last_code, self.last_number = NULL, NOWHERE

    @property
    def has_places(self):
        """Whether the user's places are noted, or were looked for."""
        return self.c.places != NULL

    def take_places(self, Tape other, int64_t n):
        """Takes the places of the first n instructions from a tape on which these are the same; of the others none are known."""
        self.note_places()
        n = min(n, self.c.n, other.c.n)
        if other.c.places != NULL:
            memcpy(self.c.places, other.c.places, n * sizeof(int64_t))
            self.codes = list(other.codes)

    def place(self, int64_t i):
        """(code object, offset of its instruction) that wrote instruction i; None where that is not known."""
        if not 0 <= i < self.c.n:
            raise IndexError(f"the tape has {self.c.n} instructions")
        if self.c.places == NULL or self.c.places[i] < 0:
            return None
        return self.codes[self.c.places[i] >> 32], <int>(self.c.places[i] & 0xFFFFFFFF)

    cdef void forget_arrays(self) noexcept:
        """Drops what the array instructions hold."""
        if self.records or self.storages:
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
