/* Instruction sets that kernels are compiled for, and what one of them is asked for by. */
#ifndef FASTAD_LEVELS_H
#define FASTAD_LEVELS_H

enum { FASTAD_BASELINE = 0, FASTAD_AVX2 = 1, FASTAD_AVX512 = 2 };      /* AVX2 with FMA, which came with it */

/* What a function gives of which there is one per instruction set, named by it. */
#if defined(FASTAD_HAVE_LEVELS)
#define FASTAD_DECLARED_AT_LEVELS(type, name) type name##baseline(void); type name##avx2(void); type name##avx512(void);
#define FASTAD_AT_LEVEL(name, level) \
    ((level) == FASTAD_AVX512 ? name##avx512() : (level) == FASTAD_AVX2 ? name##avx2() : name##baseline())
#else
#define FASTAD_DECLARED_AT_LEVELS(type, name) type name##baseline(void);
#define FASTAD_AT_LEVEL(name, level) ((void)(level), name##baseline())
#endif

/* Its name in a file that is compiled once per instruction set, FASTAD_LEVEL. */
#define FASTAD_PASTED(name, level) name##level
#define FASTAD_PASTED_LATE(name, level) FASTAD_PASTED(name, level)
#define FASTAD_OF_LEVEL(name) FASTAD_PASTED_LATE(name, FASTAD_LEVEL)

#endif
