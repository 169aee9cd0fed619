/* Instruction sets that kernels are compiled for, and what one of them is asked for by. */
#ifndef FASTAD_LEVELS_H
#define FASTAD_LEVELS_H

enum { FASTAD_BASELINE = 0, FASTAD_AVX2 = 1, FASTAD_AVX512 = 2 };      /* AVX2 with FMA, which came with it */

/* What a function gives of which there is one per instruction set, named by it. */
#if defined(FASTAD_HAVE_LEVELS)
#define FASTAD_AT_LEVEL(name, level) \
    ((level) == FASTAD_AVX512 ? name##avx512() : (level) == FASTAD_AVX2 ? name##avx2() : name##baseline())
#else
#define FASTAD_AT_LEVEL(name, level) ((void)(level), name##baseline())
#endif

#endif
