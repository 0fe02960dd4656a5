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

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif
#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif
#define INLINE static inline __attribute__((always_inline))

enum { LANES = 16, BLOCK = 32, ROWS = 4 }; /* floats a vector, atoms a block, patches a tile */
typedef float vec __attribute__((vector_size(64), aligned(4), may_alias));

typedef struct {
    int side, channels, patch, stride; /* image side, its channels, patch side */
    int grid, bins;                    /* patches a side, pooled bins a side */
    int half, atoms, even, modes;      /* whitened dims a parity, atom pairs, even and all modes */
    float threshold, noise;            /* of the code; added to the patch variance */
} Shape;

typedef struct {
    const float *mean, *whiten;   /* (p), (p, 2 half): even columns, then odd */
    const float *dict;            /* (atoms/BLOCK, 2 half, BLOCK) */
    const float *rows, *offset;   /* (atoms, modes), (modes) */
    const float *pool;            /* (bins, grid): share of a position in a bin */
} Weights;

/* One normalised, whitened patch; returns |z|. */
INLINE float whitened(const Shape *s, const Weights *w, const float *image, int y, int x,
                      float *u, float *z) {
    const int run = s->patch * s->channels, p = run * s->patch, width = 2 * s->half;
    float mean = 0.f, var = 0.f, norm = 0.f;
    for (int i = 0; i < s->patch; i++)
        memcpy(u + i * run, image + ((size_t)(y + i) * s->side + x) * s->channels,
               sizeof(float) * run);
    for (int i = 0; i < p; i++) mean += u[i];
    mean /= p;
    for (int i = 0; i < p; i++) var += (u[i] - mean) * (u[i] - mean);
    const float scale = 1.f / sqrtf(var / p + s->noise);
    memset(z, 0, sizeof(float) * width);
    for (int i = 0; i < p; i++) {
        const float value = (u[i] - mean) * scale - w->mean[i], *row = w->whiten + (size_t)i * width;
        for (int k = 0; k < width; k++) z[k] += value * row[k];
    }
    for (int k = 0; k < width; k++) norm += z[k] * z[k];
    return sqrtf(norm);
}

/* Even and odd products of ROWS patches with BLOCK atoms. */
INLINE void products(const float *z, int width, int half, const float *d,
                     float p[ROWS][BLOCK], float q[ROWS][BLOCK]) {
    vec a[ROWS][2], b[ROWS][2];
    memset(a, 0, sizeof a);
    memset(b, 0, sizeof b);
    for (int k = 0; k < half; k++) {
        const vec e0 = *(const vec *)(d + k * BLOCK), e1 = *(const vec *)(d + k * BLOCK + LANES);
        const float *o = d + (size_t)(k + half) * BLOCK;
        const vec o0 = *(const vec *)o, o1 = *(const vec *)(o + LANES);
        for (int r = 0; r < ROWS; r++) {
            const float even = z[r * width + k], odd = z[r * width + half + k];
            a[r][0] += even * e0;
            a[r][1] += even * e1;
            b[r][0] += odd * o0;
            b[r][1] += odd * o1;
        }
    }
    memcpy(p, a, sizeof a);
    memcpy(q, b, sizeof b);
}

/* Add the modes of the atoms that answer above the bar: (p + q) and its mirror (p - q). */
INLINE void gather(const Shape *s, const float *p, const float *q, float bar,
                   const float *rows, float *code) {
    float plus[BLOCK], minus[BLOCK];
    int hits[BLOCK], n = 0;
    for (int j = 0; j < BLOCK; j++) {
        const float a = p[j] + q[j] - bar, b = p[j] - q[j] - bar;
        const float ra = a > 0.f ? a : 0.f, rb = b > 0.f ? b : 0.f;
        plus[j] = ra + rb;
        minus[j] = ra - rb;
    }
    for (int j = 0; j < BLOCK; j++) { /* no branch: which atoms answer can't be predicted */
        hits[n] = j;
        n += plus[j] > 0.f;
    }
    for (int m = 0; m < s->modes; m += 2 * LANES) {
        vec *out = (vec *)(code + m);
        vec first = out[0], second = out[1];
        const float *c0 = m < s->even ? plus : minus;
        const float *c1 = m + LANES < s->even ? plus : minus;
        for (int i = 0; i < n; i++) {
            const vec *row = (const vec *)(rows + (size_t)hits[i] * s->modes + m);
            first += c0[hits[i]] * row[0];
            second += c1[hits[i]] * row[1];
        }
        out[0] = first;
        out[1] = second;
    }
}

/* code/|z| - offset, to unit length, shared out to the bins its position touches. */
INLINE void pooled(const Shape *s, const Weights *w, float *code, float norm, int y, int x,
                   float *out) {
    const float inverse = norm > 0.f ? 1.f / norm : 0.f;
    float length = 0.f;
    for (int m = 0; m < s->modes; m++) {
        code[m] = code[m] * inverse - w->offset[m];
        length += code[m] * code[m];
    }
    const float unit = 1.f / sqrtf(length + 1e-12f);
    for (int i = 0; i < s->bins; i++)
        for (int j = 0; j < s->bins; j++) {
            const float share = w->pool[i * s->grid + y] * w->pool[j * s->grid + x] * unit;
            if (share == 0.f) continue;
            float *bin = out + (size_t)(i * s->bins + j) * s->modes;
            for (int m = 0; m < s->modes; m++) bin[m] += share * code[m];
        }
}

/* images (n, side, side, channels) -> out (n, bins*bins, modes); 0 if memory ran out. */
EXPORT CLONES int stepwell_encode(const Shape *s, const Weights *w, const float *images, long n,
                                  float *out) {
    const int count = s->grid * s->grid, tiles = (count + ROWS - 1) / ROWS, width = 2 * s->half;
    const size_t pixels = (size_t)s->side * s->side * s->channels;
    const size_t bins = (size_t)s->bins * s->bins * s->modes;
    float *z = calloc((size_t)tiles * ROWS * width, sizeof(float));
    float *norm = calloc((size_t)tiles * ROWS, sizeof(float));
    float *code = calloc((size_t)tiles * ROWS * s->modes, sizeof(float));
    float *u = calloc((size_t)s->patch * s->patch * s->channels, sizeof(float));
    const int ok = z && norm && code && u;
    for (long i = 0; ok && i < n; i++) {
        memset(code, 0, sizeof(float) * tiles * ROWS * s->modes);
        memset(out + i * bins, 0, sizeof(float) * bins);
        for (int t = 0; t < count; t++)
            norm[t] = whitened(s, w, images + i * pixels, t / s->grid * s->stride,
                               t % s->grid * s->stride, u, z + (size_t)t * width);
        for (int j = 0; j < s->atoms; j += BLOCK)
            for (int t = 0; t < tiles; t++) {
                float p[ROWS][BLOCK], q[ROWS][BLOCK];
                products(z + (size_t)t * ROWS * width, width, s->half,
                         w->dict + (size_t)j * width, p, q);
                for (int r = 0; r < ROWS && t * ROWS + r < count; r++)
                    gather(s, p[r], q[r], s->threshold * norm[t * ROWS + r],
                           w->rows + (size_t)j * s->modes, code + (size_t)(t * ROWS + r) * s->modes);
            }
        for (int t = 0; t < count; t++)
            pooled(s, w, code + (size_t)t * s->modes, norm[t], t / s->grid, t % s->grid,
                   out + i * bins);
    }
    free(z), free(norm), free(code), free(u);
    return ok;
}

/* Loaded through ctypes; being a module too lets the ordinary installer build and ship it. */
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_fused", "Called through ctypes.", -1,
                                    NULL, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit__fused(void) { return PyModule_Create(&module); }
