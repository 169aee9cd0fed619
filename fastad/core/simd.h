/* Which instruction sets this processor and system have, of those that kernels were compiled for. */
#ifndef FASTAD_SIMD_H
#define FASTAD_SIMD_H

#include "fastad/core/levels.h"

#if !defined(FASTAD_HAVE_LEVELS)
static int fastad_best_level(void) { return FASTAD_BASELINE; }
#else
/* The processor is asked itself: not every linker that comes with a compiler has what __builtin_cpu_supports reads. */
#if defined(_MSC_VER) && !defined(__clang__)
#include <immintrin.h>
#include <intrin.h>
static void fastad_cpuid(int leaf, unsigned found[4]) { __cpuidex((int *)found, leaf, 0); }
static unsigned long long fastad_saved_registers(void) { return _xgetbv(0); }
#else
#include <cpuid.h>
static void fastad_cpuid(int leaf, unsigned found[4]) { __cpuid_count(leaf, 0, found[0], found[1], found[2], found[3]); }
static unsigned long long fastad_saved_registers(void) {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (unsigned long long)high << 32 | low;
}
#endif
static int fastad_best_level(void) {
    unsigned found[4];
    unsigned long long saved;
    fastad_cpuid(0, found);
    if (found[0] < 7) return FASTAD_BASELINE;
    fastad_cpuid(1, found);
    if (!(found[2] >> 27 & 1) || !(found[2] >> 12 & 1)) return FASTAD_BASELINE;      /* the system tells which registers it saves; FMA */
    saved = fastad_saved_registers();
    fastad_cpuid(7, found);
    if ((saved & 0x6) != 0x6 || !(found[1] >> 5 & 1)) return FASTAD_BASELINE;
    if ((saved & 0xe6) != 0xe6 || !(found[1] >> 16 & 1) || !(found[1] >> 17 & 1) || !(found[1] >> 31 & 1)) return FASTAD_AVX2;
    return FASTAD_AVX512;
}
#endif

#endif
