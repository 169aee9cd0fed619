/* Atomic exchange of pointers, which is all that fastad's shared state needs. */
#ifndef FASTAD_ATOMICS_H
#define FASTAD_ATOMICS_H

#if defined(_MSC_VER)
  #include <intrin.h>
  #define FASTAD_EXCHANGE(place, value) _InterlockedExchangePointer((void *volatile *)(place), (value))
#else
  #define FASTAD_EXCHANGE(place, value) __atomic_exchange_n((place), (value), __ATOMIC_ACQ_REL)
#endif

#endif
