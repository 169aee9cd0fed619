"""The instruction set that kernels are chosen for, as other compiled modules see it."""


cdef enum:
    BASELINE = 0
    AVX2 = 1
    AVX512 = 2


cdef int current_level() noexcept nogil
