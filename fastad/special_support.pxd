cdef inline double polygamma(double n, double x) noexcept nogil:
    return 0.0
