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

/* Floats a vector; patches and atoms a register tile; atoms whose rows stay in cache; most
 * whitened dimensions. */
enum { LANES = 8, ROWS = 5, TILE = 16, BLOCK = 256, MOST = 4096 };
typedef float vec __attribute__((vector_size(32), aligned(4), may_alias));

typedef struct {
    int side, channels, patch, stride; /* image side, its channels, patch side */
    int grid, bins;                    /* patches a side, pooled bins a side */
    int half, atoms, even, modes;      /* whitened dims a parity, atom pairs, even and all modes */
    float threshold, noise;            /* of the code; added to the patch variance */
} Shape;

typedef struct {
    const float *mean, *whiten;   /* (p), (2 half / TILE, p, TILE) even columns, then odd */
    const float *dict;            /* (atoms / TILE, 2 half, TILE) */
    const float *rows, *offset;   /* (atoms, modes), (modes) */
    const float *pool;            /* (bins, grid): share of a position in a bin */
} Weights;

typedef struct { /* atom pairs that answer a patch; room for one vector past the end */
    int n, atom[BLOCK + LANES];
    float sum[BLOCK + LANES], gap[BLOCK + LANES];
} Hits;

typedef struct {
    float *u, *z, *norm, *code;
    int (*pack)[LANES]; /* for each mask of LANES bits: the places of its ones, in order */
} Scratch;

static inline int tiles(const Shape *s) { return (s->grid * s->grid + ROWS - 1) / ROWS; }

/* Vectors are lowered to the target of the function they stand in, before any cloning by
 * the compiler: hence a copy of the source a target, not the attribute target_clones. */
#define NAME(x) x##_plain
#include "fused_body.h"
#undef NAME
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
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

static void fill(int (*pack)[LANES]) {
    for (int mask = 0; mask < 1 << LANES; mask++)
        for (int bit = 0, n = 0; bit < LANES; bit++)
            if (mask >> bit & 1) pack[mask][n++] = bit;
}

/* images (n, side, side, channels) -> out (n, bins·bins, modes); 0 if memory ran out. */
EXPORT int stepwell_encode(const Shape *s, const Weights *w, const float *images, long n,
                           float *out) {
    const size_t rows = (size_t)tiles(s) * ROWS, p = (size_t)s->patch * s->patch * s->channels;
    const size_t pixels = (size_t)s->side * s->side * s->channels;
    Scratch x = {
        calloc(ROWS * p, sizeof(float)), calloc(rows * 2 * s->half, sizeof(float)),
        calloc(rows, sizeof(float)), calloc(rows * s->modes, sizeof(float)),
        calloc(1 << LANES, sizeof *x.pack),
    };
    const int ok = x.u && x.z && x.norm && x.code && x.pack;
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
    free(x.u), free(x.z), free(x.norm), free(x.code), free(x.pack);
    return ok;
}

/* Unit rows z (n, 2 half), atoms as in Weights -> sums and differences of answers (n, atoms);
 * 0 if a row is too long. */
EXPORT int stepwell_answers(const float *z, long n, int half, const float *dict, int atoms,
                            float bar, float *sum, float *gap) {
    if (2 * half > MOST) return 0;
#ifdef WIDE
    if (wide()) {
        answers_avx2(z, n, half, dict, atoms, bar, sum, gap);
        return 1;
    }
#endif
    answers_plain(z, n, half, dict, atoms, bar, sum, gap);
    return 1;
}

/* Loaded through ctypes; being a module too lets the ordinary installer build and ship it. */
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_fused", "Called through ctypes.", -1,
                                    NULL, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit__fused(void) { return PyModule_Create(&module); }
