/* The hot loop of the patch encoder, in one pass over cache-sized blocks.
 *
 * Per image: cut patches, normalise, whiten (split by mirror symmetry), compare with
 * every atom, and for the few atoms that answer add their row of modes; normalise each
 * patch's modes and pool them. Nothing larger than one image's patches is ever stored,
 * and no image sees another: results do not depend on chunks or threads.
 *
 * With p = even part, q = odd part of the product, an atom answers p + q and its mirror
 * image p - q: half the products of a plain dictionary (see dictionary.py).
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* Floats a vector; patches, atoms and whitened dimensions a register tile; atoms whose rows stay in cache. */
enum { LANES = 8, ROWS = 5, TILE = 32, COLUMNS = 16, BLOCK = 256 };
enum { STEP = 2, ZERO = 64, LEVELS = 63 }; /* bytes multiplied at once; a patch's 0; its 1 */
enum { MOST_BAR = LEVELS * 127 };          /* of a patch and an atom that are the same */
typedef float vec __attribute__((vector_size(32), aligned(4), may_alias));
typedef unsigned char u8;
typedef signed char i8;

typedef struct {
    int side, channels, patch, stride; /* image side, its channels, patch side */
    int grid, bins;                    /* patches a side, pooled bins a side */
    int half, atoms, even, modes;      /* whitened dims a parity, atom pairs, even and all modes */
    int bar;                           /* above which an atom answers */
    float noise;                       /* added to the patch variance */
} Shape;

typedef struct {
    const float *mean, *whiten;   /* (p), (2 half / COLUMNS, p, COLUMNS) even columns, then odd */
    const i8 *dict;               /* (atoms / TILE, 2, steps, TILE, STEP): even part, odd part */
    const short *start;           /* (atoms / TILE, 2, TILE): -ZERO times sums of dict */
    const float *rows, *offset;   /* (atoms, modes), (modes) */
    const float *pool;            /* (bins, grid): share of a position in a bin */
} Weights;

typedef struct { /* atom pairs that answer a patch; room for one vector past the end */
    int n;
    short atom[BLOCK + LANES], sum[BLOCK + LANES], gap[BLOCK + LANES];
} Hits;

typedef struct {
    float *u, *z, *code;
    u8 *bytes; /* whitened patches of unit length, LEVELS times, plus ZERO; each STEP twice */
    u8 (*pack)[2 * LANES]; /* for each mask of LANES bits: its ones, in order, as pairs of bytes */
} Scratch;

static inline size_t steps(int half) { return (half + STEP - 1) / STEP; }
static inline int tiles(const Shape *s) { return (s->grid * s->grid + ROWS - 1) / ROWS; }

/* Vectors are lowered to the target of the function they stand in, before any cloning by
 * the compiler: hence a copy of the source a target, not the attribute target_clones. */
#define NAME(x) x##_plain
#include "fused_body.h"
#undef NAME
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(STEPWELL_PLAIN)
#define WIDE 1
#include <immintrin.h>
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi2,popcnt")
#define NAME(x) x##_avx2
#include "fused_body.h"
#undef NAME
#pragma GCC pop_options
#endif

static int wide(void) {
#ifdef WIDE
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
#else
    return 0;
#endif
}

static void fill(u8 (*pack)[2 * LANES]) {
    for (int mask = 0; mask < 1 << LANES; mask++)
        for (int bit = 0, n = 0; bit < LANES; bit++)
            if (mask >> bit & 1) pack[mask][n++] = 2 * bit, pack[mask][n++] = 2 * bit + 1;
}

/* How many numbers there are behind each pointer: whoever calls may have been told wrong. */
typedef struct {
    size_t mean, whiten, dict, start, rows, offset, pool, images, out;
} Counts;

static int within(int value, int low, int high) { return low <= value && value <= high; }

/* Whether all that will be read and written is there. Each factor is small enough for no product
 * to wrap. */
static int fits(const Shape *s, const Counts *c, long n) {
    if (!(within(s->side, 1, 1 << 13) && within(s->channels, 1, 64) && within(s->patch, 1, 64) &&
          within(s->stride, 1, 1 << 13) && within(s->bins, 1, 64) && within(s->half, 1, 1 << 13) &&
          within(s->atoms, TILE, 1 << 15) && within(s->modes, 2 * LANES, 1 << 13)))
        return 0;
    if (!within(s->bar, -MOST_BAR, MOST_BAR) || !(s->noise >= 0.f && s->noise < 1e9f)) return 0;
    if (n < 0 || n > 1L << 24 || s->patch > s->side || s->atoms % TILE || s->modes % (2 * LANES) ||
        !within(s->even, 0, s->modes) || s->even % (2 * LANES) ||
        s->grid != (s->side - s->patch) / s->stride + 1)
        return 0;
    const size_t p = (size_t)s->patch * s->patch * s->channels, k = steps(s->half);
    const size_t columns = (2 * (size_t)s->half + COLUMNS - 1) / COLUMNS * COLUMNS;
    return c->mean >= p && c->whiten >= columns * p && c->dict >= s->atoms * 2 * k * STEP &&
           c->start >= 2 * (size_t)s->atoms && c->rows >= (size_t)s->atoms * s->modes &&
           c->offset >= (size_t)s->modes && c->pool >= (size_t)s->bins * s->grid &&
           c->images >= (size_t)n * s->side * s->side * s->channels &&
           c->out >= (size_t)n * s->bins * s->bins * s->modes;
}

/* images (n, side, side, channels) -> out (n, bins·bins, modes); 1 if all went well, 0 if memory
 * ran out, -1 if sizes do not fit. */
EXPORT int stepwell_encode(const Shape *s, const Weights *w, const Counts *c, const float *images,
                           long n, float *out) {
    if (!fits(s, c, n)) return -1;
    const size_t rows = (size_t)tiles(s) * ROWS, p = (size_t)s->patch * s->patch * s->channels;
    const size_t pixels = (size_t)s->side * s->side * s->channels;
    Scratch x = {
        calloc(ROWS * p, sizeof(float)), calloc(ROWS * 2 * s->half, sizeof(float)),
        calloc(rows * s->modes, sizeof(float)), calloc(rows * 2 * steps(s->half), 2 * STEP),
        calloc(1 << LANES, sizeof *x.pack),
    };
    const int ok = x.u && x.z && x.bytes && x.code && x.pack;
    if (ok) fill(x.pack);
    for (long i = 0; ok && i < n; i++) {
        float *bins = out + (size_t)i * s->bins * s->bins * s->modes;
#ifdef WIDE
        if (wide()) {
            encode_avx2(s, w, &x, images + i * pixels, bins);
            continue;
        }
#endif
        encode_plain(s, w, &x, images + i * pixels, bins);
    }
    free(x.u), free(x.z), free(x.code), free(x.bytes), free(x.pack);
    return ok;
}

/* Patches as bytes (n, 2, steps, 2, STEP), atoms as in Weights -> sums and differences of
 * answers (n, atoms); -1 if sizes do not fit. `count`: of z, dict, start, sum and gap. */
EXPORT int stepwell_answers(const u8 *z, long n, int half, const i8 *dict, const short *start,
                            int atoms, int bar, float *sum, float *gap, const size_t *count) {
    if (n < 0 || n > 1L << 30 || n % ROWS || !within(half, 1, 1 << 13) ||
        !within(atoms, TILE, 1 << 24) || atoms % TILE ||
        !within(bar, -MOST_BAR, MOST_BAR))
        return -1;
    const size_t k = steps(half), cells = (size_t)n * atoms;
    if (count[0] < (size_t)n * 4 * k * STEP || count[1] < (size_t)atoms * 2 * k * STEP ||
        count[2] < 2 * (size_t)atoms || count[3] < cells || count[4] < cells)
        return -1;
#ifdef WIDE
    if (wide()) {
        answers_avx2(z, n, k, dict, start, atoms, bar, sum, gap);
        return 1;
    }
#endif
    answers_plain(z, n, k, dict, start, atoms, bar, sum, gap);
    return 1;
}

/* Loaded through ctypes; being a module too lets the ordinary installer build and ship it. */
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_fused", "Called through ctypes.", -1,
                                    NULL, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit__fused(void) { return PyModule_Create(&module); }
