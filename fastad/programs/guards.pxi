# Guards of a window, looked at together: pairs of slots of one comparison, two at a time where the machine has registers for two.

cdef extern from *:
    """
    #include <stdint.h>
    #if defined(__SSE2__) || defined(_M_X64)
    #include <emmintrin.h>
    #define FASTAD_PAIRS(v, p, which) _mm_loadh_pd(_mm_load_sd(v + (p)[which]), v + (p)[2 + which])
    /* Four pairs at a time: a chain of comparisons each waiting for the last would take longer. */
    #define FASTAD_FOURS(compare) \\
        __m128d one = _mm_setzero_pd(), other = _mm_setzero_pd(); \\
        for (; k + 4 <= n; k += 4, p += 8) { \\
            one = _mm_or_pd(one, compare(FASTAD_PAIRS(v, p, 0), FASTAD_PAIRS(v, p, 1))); \\
            other = _mm_or_pd(other, compare(FASTAD_PAIRS(v, p + 4, 0), FASTAD_PAIRS(v, p + 4, 1))); \\
        } \\
        found = _mm_movemask_pd(_mm_or_pd(one, other));
    #else
    #define FASTAD_FOURS(compare)
    #endif

    /* Whether a relation holds between the values of any of n pairs of slots. */
    #define FASTAD_ANY(name, compare, relation) \\
    static int name(const double *v, const int32_t *p, int32_t n) { \\
        int32_t k = 0; \\
        int found = 0; \\
        FASTAD_FOURS(compare) \\
        for (; k < n; k++, p += 2) { double x = v[p[0]], y = v[p[1]]; found |= (relation); } \\
        return found; \\
    }

    FASTAD_ANY(fastad_any_less, _mm_cmplt_pd, x < y)
    FASTAD_ANY(fastad_any_not_less, _mm_cmpnlt_pd, !(x < y))
    FASTAD_ANY(fastad_any_less_equal, _mm_cmple_pd, x <= y)
    FASTAD_ANY(fastad_any_not_less_equal, _mm_cmpnle_pd, !(x <= y))
    FASTAD_ANY(fastad_any_equal, _mm_cmpeq_pd, x == y)
    FASTAD_ANY(fastad_any_not_equal, _mm_cmpneq_pd, x != y)

    typedef int (*FastadAny)(const double *v, const int32_t *p, int32_t n);
    /* By what was recorded, first that the relation holds: what would make a guard fail. */
    static const FastadAny fastad_fails[6] = {
        fastad_any_not_less, fastad_any_less, fastad_any_not_less_equal, fastad_any_less_equal, fastad_any_not_equal, fastad_any_equal
    };
    """
    int (*fastad_fails[6])(const double* v, const int32_t* p, int32_t n) noexcept nogil
