/* Two sums by which it shows that words of memory have changed, or only changed places (J. G. Fletcher, "An arithmetic checksum for
 * serial transmissions", 1982), of sixteen interleaved sequences at once.
 */
#ifndef FASTAD_CHECKSUM_H
#define FASTAD_CHECKSUM_H

#include <stdint.h>
#include "fastad/core/vector.h"

#define FASTAD_SEQUENCES 16

FASTAD_CLONES static void fastad_checksum(const uint64_t *words, int64_t n, uint64_t *result) {
    uint64_t sums[FASTAD_SEQUENCES] = {0}, weighted[FASTAD_SEQUENCES] = {0};
    int64_t i = 0;
    int k;
    for (; i + FASTAD_SEQUENCES <= n; i += FASTAD_SEQUENCES)
        for (k = 0; k < FASTAD_SEQUENCES; k++) {
            sums[k] += words[i + k];
            weighted[k] += sums[k];
        }
    for (k = 0; i < n; i++, k++) {
        sums[k] += words[i];
        weighted[k] += sums[k];
    }
    result[0] = result[1] = 0;
    for (k = 0; k < FASTAD_SEQUENCES; k++) {
        /* An odd number without a pattern, so that sequences do not change places either (that of the golden section). */
        result[0] = result[0] * 0x9E3779B97F4A7C15u + sums[k];
        result[1] = result[1] * 0x9E3779B97F4A7C15u + weighted[k];
    }
}

#endif
