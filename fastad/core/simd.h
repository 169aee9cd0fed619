/* Which instruction sets this processor and system have, of those that kernels were compiled for. */
#ifndef FASTAD_SIMD_H
#define FASTAD_SIMD_H

enum { FASTAD_BASELINE = 0, FASTAD_AVX2 = 1, FASTAD_AVX512 = 2 };

#if !defined(FASTAD_HAVE_LEVELS)
static int fastad_best_level(void) { return FASTAD_BASELINE; }
#elif defined(__GNUC__)
static int fastad_best_level(void) {
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2")) return FASTAD_BASELINE;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return FASTAD_AVX512;
    return FASTAD_AVX2;
}
#else
#include <immintrin.h>
#include <intrin.h>
static int fastad_best_level(void) {
    int found[4];
    unsigned long long saved;
    __cpuid(found, 0);
    if (found[0] < 7) return FASTAD_BASELINE;
    __cpuid(found, 1);
    if (!(found[2] >> 27 & 1)) return FASTAD_BASELINE;      /* the system tells which registers it saves */
    saved = _xgetbv(0);
    __cpuidex(found, 7, 0);
    if ((saved & 0x6) != 0x6 || !(found[1] >> 5 & 1)) return FASTAD_BASELINE;
    if ((saved & 0xe6) != 0xe6 || !(found[1] >> 16 & 1) || !(found[1] >> 17 & 1) || !(found[1] >> 31 & 1)) return FASTAD_AVX2;
    return FASTAD_AVX512;
}
#endif

#endif
