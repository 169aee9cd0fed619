# cython: cdivision=True
"""The tape as C sees it: an instruction is an opcode, two operands and a value, each in an array of its own."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t


cdef extern from *:
    """
    #ifdef FASTAD_DEBUG
    #include <stdio.h>
    #include <stdlib.h>
    #define FASTAD_ASSERT(condition) do { if (!(condition)) { \
        fprintf(stderr, "fastad: %s:%d: %s does not hold\\n", __FILE__, __LINE__, #condition); abort(); } } while (0)
    #else
    #define FASTAD_ASSERT(condition) ((void)0)
    #endif

    /* Asks for large pages where an array is large: the first touch of each small page costs as much as many operations. */
    #if defined(__linux__)
    #include <stdint.h>
    #include <sys/mman.h>
    static inline void fastad_prefer_large_pages(void *array, size_t bytes) {
        if (bytes >= (size_t)8 << 20) {
            uintptr_t page = (uintptr_t)array & ~(uintptr_t)4095;
            (void)madvise((void *)page, (uintptr_t)array + bytes - page, MADV_HUGEPAGE);
        }
    }
    #else
    static inline void fastad_prefer_large_pages(void *array, size_t bytes) { (void)array; (void)bytes; }
    #endif
    """
    void FASTAD_ASSERT(bint condition) noexcept nogil
    void fastad_prefer_large_pages(void* array, size_t bytes) noexcept nogil


# The tape's own opcodes; the elementals of the op table start at FIRST_OPCODE of table/generate.py.
cdef enum:
    OP_CONSTANT = 0   # a number; the same number has one slot in a stretch of tape
    OP_INPUT = 1      # an independent
    OP_EXTRA = 2      # operands 3 and 4 of the instruction behind it
    OP_SPECIAL = 3    # an elemental of table/special.py: operand b is its row, its second operand is in an OP_EXTRA before it
    OP_ARRAY = 4      # an array instruction: operand a is its place in Tape.records; a scalar result is the slot's value
    OP_GATHER = 5     # element b of the float64 storage a, as a scalar
    OP_PUT = 6        # a scalar (operand a of the OP_EXTRA before it) becomes element b of the float64 storage a

    # Guards, on a tape that is recorded for replay: what left to Python, with v = what it was when it was recorded.
    OP_GUARD_LESS = 7        # whether a < b
    OP_GUARD_LESS_EQUAL = 8
    OP_GUARD_EQUAL = 9
    OP_GUARD_VALUE = 10      # a number made of slot a; b is which one, a Rounding

    CONSTANT_BITS = 10
    LITERALS = 256


cdef enum Rounding:
    AS_IT_IS = 0
    TRUNCATED = 1
    FLOORED = 2
    CEILED = 3
    NEAREST = 4
    IS_WHOLE = 5      # 1.0 or 0.0
    EXPONENT = 6      # of two, as frexp has it


cdef struct Constant:
    uint64_t bits
    uint32_t stamp        # the trace it was entered in; entries of earlier ones are void without being cleared
    int32_t slot


cdef struct CTape:
    int64_t n             # instructions on the tape; instruction i writes slot i
    int64_t capacity
    uint8_t* opcode
    int32_t* a
    int32_t* b
    double* v
    uint64_t epoch        # the trace that is being recorded; 0 on no trace's tape
    uint32_t stamp        # counts the traces this tape has held, from 1
    bint recording        # for replay: decisions are written as guards
    int sweeping          # sweeps under way whose instructions are appended
    int64_t* places       # where the user's code wrote each instruction, as `note_place` packs it; NULL if that is not noted
    Constant* constants   # recent constants by the hash of their bits
    Constant* literals    # the same by the address of the float object
    void* owner           # the Tape this is part of


cdef int grow(CTape* t) except -1 nogil
cdef void note_place(CTape* t, int64_t i) noexcept

ctypedef void (*NotePlace)(CTape* t, int64_t i) noexcept nogil


cdef inline bint is_array_opcode(int opcode) noexcept nogil:
    """Whether this is an array instruction, a gather or a put."""
    return OP_ARRAY <= opcode <= OP_PUT


cdef inline void write(CTape* t, int64_t i, int opcode, int32_t a, int32_t b, double v) noexcept nogil:
    """Makes instruction i the last one; there must be room for it."""
    FASTAD_ASSERT(i < t.capacity and 0 <= a <= i and 0 <= b <= i)
    t.opcode[i] = <uint8_t>opcode
    t.a[i] = a
    t.b[i] = b
    t.v[i] = v
    t.n = i + 1
    if t.places != NULL:
        # Whoever records holds the GIL.
        (<NotePlace><void*>note_place)(t, i)


cdef inline int32_t append(CTape* t, int opcode, int32_t a, int32_t b, double v) except -1 nogil:
    """Appends an instruction and returns its slot."""
    cdef int64_t i = t.n
    if i == t.capacity:
        grow(t)
    write(t, i, opcode, a, b, v)
    return <int32_t>i


cdef inline int32_t append_structural(CTape* t, int opcode, int32_t a, int32_t b, double v) except -1 nogil:
    """As `append`, for operands that are not slots."""
    cdef int32_t slot = append(t, opcode, 0, 0, v)
    t.a[slot], t.b[slot] = a, b
    return slot


cdef inline Constant* constant_entry(const CTape* t, uint64_t bits) noexcept nogil:
    return t.constants + ((bits * <uint64_t>0x9E3779B97F4A7C15) >> (64 - CONSTANT_BITS))


cdef inline int32_t constant(CTape* t, double v) except -1 nogil:
    """The slot of a number: a recent one if the tape has it, else a new one.

    Bits are compared, which keeps 0.0 and -0.0 apart and finds NaN again.
    """
    cdef uint64_t bits = (<uint64_t*>&v)[0]
    cdef Constant* entry = constant_entry(t, bits)
    if entry.bits != bits or entry.stamp != t.stamp:
        entry.slot = append(t, OP_CONSTANT, 0, 0, v)
        entry.bits, entry.stamp = bits, t.stamp
    return entry.slot


cdef class Tape:
    cdef CTape c
    cdef int64_t exports           # NumPy views of this tape's arrays that are still alive
    cdef public bint retained      # something outlives the trace and needs this tape
    cdef public list records       # the array instructions, objects that know their sweeps
    cdef public list storages      # (shape, dtype) of every array storage, by its number
    cdef void* last_code           # the code object that wrote last, and its number among `codes` as a place has it
    cdef int64_t last_number
    cdef public dict plain_arrays  # on a tape for replay: by address the plain arrays that instructions refer to
    cdef public list codes         # code objects that `places` refers to
    cdef public object watch       # called with each array instruction (fastad.debug); None otherwise
    cdef public dict buffers       # by storage: its memory, while the tape is watched
    cdef public object at_end      # what is called when the trace ends, or None
    cdef public tuple inputs       # what the trace was opened with, for readers of the tape
    cdef public tuple outputs

    cdef void release(self) noexcept
    cdef void forget_arrays(self) noexcept
    cdef void begin(self, uint64_t epoch) noexcept
    cdef void resume(self, uint64_t epoch) noexcept
