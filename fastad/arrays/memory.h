/* Blocks of memory that arrays have given back, for arrays of the same size (NumPy's NEP 49, memory handlers).
 *
 * A trace keeps every array it makes until its end, and the next one makes the same arrays again; so does a replay with its results.
 * Memory fresh from the system costs as much as the arithmetic on it: each page is zeroed and mapped when it is first touched.
 *
 * Whoever finds the blocks in use by another thread goes to the system, and so nobody waits.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "fastad/core/atomics.h"

#if defined(__SANITIZE_ADDRESS__)
#define FASTAD_SMALL SIZE_MAX                 /* the sanitizer is to see what is freed */
#else
#define FASTAD_SMALL ((size_t)16 << 10)       /* bytes below which NumPy's own memory is as good */
#endif
#define FASTAD_MOST_HELD ((size_t)256 << 20)  /* bytes that are kept at most */
#define FASTAD_LASTS 8                        /* traces, replays and maps after which a block that nobody took goes back to the system */
#define FASTAD_LISTS 256

/* What a block holds while no array does. */
typedef struct FastadBlock {
    struct FastadBlock *next, *before;        /* of blocks whose size has the same hash */
    struct FastadBlock *newer, *older;        /* of all */
    size_t size;
    uint64_t trace;
} FastadBlock;

static FastadBlock *fastad_lists[FASTAD_LISTS], *fastad_newest, *fastad_oldest;
static size_t fastad_held;
static uint64_t fastad_trace;                 /* counts those that have ended, replays and maps */
static void *fastad_busy;
static PyDataMemAllocator *fastad_plain;      /* NumPy's own */

static int fastad_enter(void) { return FASTAD_EXCHANGE(&fastad_busy, (void *)&fastad_busy) == NULL; }
static void fastad_leave(void) { (void)FASTAD_EXCHANGE(&fastad_busy, NULL); }

static FastadBlock **fastad_list_of(size_t size) {
    return &fastad_lists[((uint64_t)size * 0x9E3779B97F4A7C15u) >> 56];
}

static void fastad_link(FastadBlock *block) {
    FastadBlock **list = fastad_list_of(block->size);
    block->before = NULL;
    block->next = *list;
    if (block->next != NULL) block->next->before = block;
    *list = block;
    block->newer = NULL;
    block->older = fastad_newest;
    if (fastad_newest != NULL) fastad_newest->newer = block;
    else fastad_oldest = block;
    fastad_newest = block;
    fastad_held += block->size;
}

static void fastad_unlink(FastadBlock *block) {
    if (block->before != NULL) block->before->next = block->next;
    else *fastad_list_of(block->size) = block->next;
    if (block->next != NULL) block->next->before = block->before;
    if (block->newer != NULL) block->newer->older = block->older;
    else fastad_newest = block->older;
    if (block->older != NULL) block->older->newer = block->newer;
    else fastad_oldest = block->newer;
    fastad_held -= block->size;
}

/* Takes out the oldest blocks, until others have room and those left are of the last traces; a chain by `next`. */
static FastadBlock *fastad_outdated(size_t room, uint64_t lasts) {
    FastadBlock *chain = NULL;
    while (fastad_oldest != NULL && (fastad_held + room > FASTAD_MOST_HELD || fastad_oldest->trace + lasts <= fastad_trace)) {
        FastadBlock *block = fastad_oldest;
        fastad_unlink(block);
        block->next = chain;
        chain = block;
    }
    return chain;
}

static void fastad_free_all(FastadBlock *chain) {
    while (chain != NULL) {
        FastadBlock *next = chain->next;
        fastad_plain->free(fastad_plain->ctx, chain, chain->size);
        chain = next;
    }
}

/* A block of exactly this size; NULL if there is none. */
static void *fastad_take(size_t size) {
    FastadBlock *block;
    if (size < FASTAD_SMALL || !fastad_enter()) return NULL;
    block = *fastad_list_of(size);
    while (block != NULL && block->size != size) block = block->next;
    if (block != NULL) fastad_unlink(block);
    fastad_leave();
    return block;
}

/* ---- the handler ---- */

static void *fastad_malloc(void *ctx, size_t size) {
    void *block = fastad_take(size);
    (void)ctx;
    return block != NULL ? block : fastad_plain->malloc(fastad_plain->ctx, size);
}

static void *fastad_calloc(void *ctx, size_t count, size_t size) {
    void *block = size == 0 || count > SIZE_MAX / size ? NULL : fastad_take(count * size);
    (void)ctx;
    return block != NULL ? memset(block, 0, count * size) : fastad_plain->calloc(fastad_plain->ctx, count, size);
}

static void *fastad_realloc(void *ctx, void *block, size_t size) {
    (void)ctx;
    return fastad_plain->realloc(fastad_plain->ctx, block, size);
}

static void fastad_free(void *ctx, void *memory, size_t size) {
    FastadBlock *block = (FastadBlock *)memory, *chain;
    (void)ctx;
    if (block == NULL || size < FASTAD_SMALL || size > FASTAD_MOST_HELD || !fastad_enter()) {
        fastad_plain->free(fastad_plain->ctx, memory, size);
        return;
    }
    chain = fastad_outdated(size, UINT64_MAX / 2);
    block->size = size;
    block->trace = fastad_trace;
    fastad_link(block);
    fastad_leave();
    fastad_free_all(chain);
}

/* A trace has ended: blocks that none of the last `lasts` traces took or gave go back to the system. */
static void fastad_trace_ended(uint64_t lasts) {
    FastadBlock *chain;
    if (!fastad_enter()) return;
    fastad_trace++;
    chain = fastad_outdated(0, lasts);
    fastad_leave();
    fastad_free_all(chain);
}

static PyDataMem_Handler fastad_handler = {"fastad", 1, {NULL, fastad_malloc, fastad_calloc, fastad_realloc, fastad_free}};
