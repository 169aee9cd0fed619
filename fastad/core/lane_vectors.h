/* As many lanes as fit a register, and their quotients.
 *
 * Included by lanes_kernels.c.
 */

#if defined(__GNUC__)
/* GCC and Clang know vectors of that size on every processor. */
#if defined(__AVX512F__)
#define FASTAD_VECTOR 8
#elif defined(__AVX__)
#define FASTAD_VECTOR 4
#else
#define FASTAD_VECTOR 2
#endif
typedef double Vector __attribute__((vector_size(8 * FASTAD_VECTOR)));
typedef int64_t Mask __attribute__((vector_size(8 * FASTAD_VECTOR)));
typedef double Anywhere __attribute__((vector_size(8 * FASTAD_VECTOR), aligned(8), may_alias));
#define FASTAD_AT(numbers) (*(const Anywhere *)(numbers))
#define FASTAD_PUT(numbers, x) (*(Anywhere *)(numbers) = (x))
#define FASTAD_SIZE(x) ((Vector)((Mask)(x) & INT64_MAX))
#define FASTAD_ALL(number) ((number) - (Vector){0})
#else
#define FASTAD_VECTOR 1
typedef double Vector;
typedef int Mask;
#define FASTAD_AT(numbers) (*(numbers))
#define FASTAD_PUT(numbers, x) (*(numbers) = (x))
#define FASTAD_SIZE(x) fabs(x)
#define FASTAD_ALL(number) (number)
#endif

#if FASTAD_VECTOR == 8
/* The divider of a processor takes 16 cycles for eight numbers, in which 32 vectors can be added or multiplied. So every other
 * vector is divided by products, while the one before it is with the divider. Their quotients are rounded correctly, by Markstein's
 * theorem (P. W. Markstein, "Computation of elementary functions on the IBM RISC System/6000 processor", IBM Journal of Research
 * and Development 34(1), 1990): where y is 1/b rounded, q within one unit in the last place of a/b, and r = a - b*q, which is
 * exact, q + r*y, rounded once, is a/b rounded.
 */
enum { BY_DIVIDER, BY_PRODUCTS };
#define FASTAD_LOWEST (INT64_C(767) << 52)      /* the exponent of 2^-256, as it is stored */
#define FASTAD_OUTSIDE (INT64_C(3) << 61)       /* of exponents less the lowest: bits that are zero for 512 of them */

static inline Vector by_products(Vector a, Vector b) {
    const __m512d one = _mm512_set1_pd(1.0);
    __m512d y = _mm512_rcp14_pd(b), e, q, r;
    e = _mm512_fnmadd_pd(b, y, one);                        /* below 2^-14 */
    y = _mm512_fmadd_pd(y, _mm512_fmadd_pd(e, e, e), y);    /* off by e^3, 2^-42 */
    q = _mm512_mul_pd(a, y);
    q = _mm512_fmadd_pd(_mm512_fnmadd_pd(b, q, a), y, q);   /* off by 2^-84 and its rounding */
    r = _mm512_fnmadd_pd(b, q, a);
    /* Rounded upward and corrected from above: the 1/b of a b just below a power of two lies just above the middle of two numbers,
       and would stay on the lower one. */
    e = _mm512_fnmadd_pd(b, y, one);
    y = _mm512_fmadd_round_pd(y, e, y, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
    e = _mm512_fnmadd_pd(b, y, one);
    y = _mm512_fmadd_pd(y, e, y);
    return _mm512_fmadd_pd(r, y, q);
}

/* a / b; numbers of extreme size, zeros, infinities and NaN are for the divider. */
static inline Vector quotient(Vector a, Vector b, int how) {
    const Mask outside = (((Mask)a - FASTAD_LOWEST) | ((Mask)b - FASTAD_LOWEST)) & FASTAD_OUTSIDE;
    const int extreme = _mm512_test_epi64_mask((__m512i)outside, (__m512i)outside);
    return how == BY_DIVIDER || __builtin_expect(extreme, 0) ? a / b : by_products(a, b);
}

#define FASTAD_QUOTIENT(a, b) quotient(a, b, how)
#define FASTAD_ONE_VECTOR(out, expression, HOW) { enum { how = HOW }; FASTAD_PUT((out) + l, expression); l += FASTAD_VECTOR; }
#define FASTAD_VECTORS(out, expression) \
    for (l = 0; l + 2 * FASTAD_VECTOR <= (size_t)lanes;) { \
        FASTAD_ONE_VECTOR(out, expression, BY_DIVIDER) \
        FASTAD_ONE_VECTOR(out, expression, BY_PRODUCTS) \
    } \
    if (l < (size_t)lanes) FASTAD_ONE_VECTOR(out, expression, BY_DIVIDER)
#else
#define FASTAD_QUOTIENT(a, b) ((a) / (b))
#define FASTAD_VECTORS(out, expression) \
    FASTAD_INDEPENDENT \
    for (l = 0; l < (size_t)lanes; l += FASTAD_VECTOR) FASTAD_PUT((out) + l, expression);
#endif

/* One bit for each number of a mask. */
static inline unsigned bits_of(Mask mask) {
#if FASTAD_VECTOR == 8
    return (unsigned)_mm512_movepi64_mask((__m512i)mask);
#elif FASTAD_VECTOR == 4
    return (unsigned)_mm256_movemask_pd((__m256d)mask);
#elif FASTAD_VECTOR == 1
    return (unsigned)mask & 1;
#elif defined(__SSE2__)
    return (unsigned)_mm_movemask_pd((__m128d)mask);
#else
    return (unsigned)((mask[0] & 1) | (mask[1] & 2));
#endif
}
