/* The hot loop, compiled once for each instruction set; see fused.c, which includes it.
 * NAME(x) gives every function the suffix of its instruction set. */

#define INLINE static inline __attribute__((always_inline))

/* a (ROWS, k) with row stride `lda` times b (k, TILE): c (ROWS, TILE). Sums stay in registers. */
INLINE void NAME(product)(const float *a, size_t lda, size_t k, const float *b,
                          float c[ROWS][TILE]) {
    const vec zero = {0};
    vec s[ROWS][2];
#pragma GCC unroll 5
    for (int r = 0; r < ROWS; r++) s[r][0] = s[r][1] = zero;
    for (size_t i = 0; i < k; i++, b += TILE) {
        const vec b0 = *(const vec *)b, b1 = *(const vec *)(b + LANES);
#pragma GCC unroll 5
        for (int r = 0; r < ROWS; r++) {
            const float one = a[(size_t)r * lda + i];
            s[r][0] += one * b0;
            s[r][1] += one * b1;
        }
    }
#pragma GCC unroll 5
    for (int r = 0; r < ROWS; r++) {
        *(vec *)c[r] = s[r][0];
        *(vec *)(c[r] + LANES) = s[r][1];
    }
}

/* Σ (a - shift), or of its square: in lanes, for a plain sum waits on each addition. */
INLINE float NAME(sum)(const float *a, int n, float shift, int squared) {
    vec lanes = {0};
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        const vec d = *(const vec *)(a + i) - shift;
        if (squared) lanes += d * d;
        else lanes += d;
    }
    float total = 0.f;
    for (int l = 0; l < LANES; l++) total += lanes[l];
    for (; i < n; i++) total += squared ? (a[i] - shift) * (a[i] - shift) : a[i] - shift;
    return total;
}

/* ROWS normalised patches from patch number t on, less the mean patch; past the end: zeros. */
INLINE void NAME(normalised)(const Shape *s, const Weights *w, const float *image, int t, float *u) {
    const int run = s->patch * s->channels, p = run * s->patch, count = s->grid * s->grid;
    for (int r = 0; r < ROWS; r++, t++, u += p) {
        if (t >= count) {
            memset(u, 0, sizeof(float) * p);
            continue;
        }
        const int y = t / s->grid * s->stride, x = t % s->grid * s->stride;
        for (int i = 0; i < s->patch; i++)
            memcpy(u + i * run, image + ((size_t)(y + i) * s->side + x) * s->channels,
                   sizeof(float) * run);
        const float mean = NAME(sum)(u, p, 0.f, 0) / p;
        const float var = NAME(sum)(u, p, mean, 1);
        const float scale = 1.f / sqrtf(var / p + s->noise);
        for (int i = 0; i < p; i++) u[i] = (u[i] - mean) * scale - w->mean[i];
    }
}

/* ROWS whitened patches z (ROWS, 2 half) and their lengths. */
INLINE void NAME(whitened)(const Shape *s, const Weights *w, const float *u, float *z, float *norm) {
    const int p = s->patch * s->patch * s->channels, width = 2 * s->half;
    for (int j = 0; j < width; j += TILE) {
        float c[ROWS][TILE];
        NAME(product)(u, p, p, w->whiten + (size_t)j * p, c);
        const int n = width - j < TILE ? width - j : TILE;
        for (int r = 0; r < ROWS; r++) memcpy(z + r * width + j, c[r], sizeof(float) * n);
    }
    for (int r = 0; r < ROWS; r++)
        norm[r] = sqrtf(NAME(sum)(z + r * width, width, 0.f, 1));
}

/* Which of TILE atom pairs answer above the bar: their numbers, the sum of the two answers
 * and the difference, appended to `h`. No branch: which ones answer can't be predicted. */
INLINE void NAME(answering)(const float *p, const float *q, float bar, int first, Hits *h,
                            const int (*pack)[LANES]) {
#ifdef __AVX2__
    const __m256 b = _mm256_set1_ps(bar), zero = _mm256_setzero_ps();
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    int n = h->n;
#pragma GCC unroll 2
    for (int j = 0; j < TILE; j += LANES) {
        const __m256 even = _mm256_loadu_ps(p + j), odd = _mm256_loadu_ps(q + j);
        const __m256 low = _mm256_sub_ps(even, b);
        const __m256 one = _mm256_max_ps(_mm256_add_ps(low, odd), zero);
        const __m256 two = _mm256_max_ps(_mm256_sub_ps(low, odd), zero);
        const __m256 sum = _mm256_add_ps(one, two), gap = _mm256_sub_ps(one, two);
        const int mask = _mm256_movemask_ps(_mm256_cmp_ps(sum, zero, _CMP_GT_OQ));
        const __m256i order = _mm256_loadu_si256((const __m256i *)pack[mask]);
        const __m256i number = _mm256_add_epi32(lane, _mm256_set1_epi32(first + j));
        _mm256_storeu_si256((__m256i *)(h->atom + n),
                            _mm256_permutevar8x32_epi32(number, order));
        _mm256_storeu_ps(h->sum + n, _mm256_permutevar8x32_ps(sum, order));
        _mm256_storeu_ps(h->gap + n, _mm256_permutevar8x32_ps(gap, order));
        n += __builtin_popcount(mask);
    }
    h->n = n;
#else
    (void)pack;
    for (int j = 0; j < TILE; j++) {
        const float a = p[j] + q[j] - bar, b = p[j] - q[j] - bar;
        const float one = a > 0.f ? a : 0.f, two = b > 0.f ? b : 0.f;
        h->atom[h->n] = first + j;
        h->sum[h->n] = one + two;
        h->gap[h->n] = one - two;
        h->n += one + two > 0.f;
    }
#endif
}

/* out (count vectors) += Σ weight · row of modes, with the sums kept in registers. */
INLINE void NAME(add_rows)(const Hits *h, const float *weight, const float *rows, size_t stride,
                           const int count, float *out) {
    vec sum[8];
#pragma GCC unroll 8
    for (int v = 0; v < count; v++) sum[v] = *(const vec *)(out + v * LANES);
    for (int i = 0; i < h->n; i++) {
        const float *row = rows + (size_t)(unsigned)h->atom[i] * stride, c = weight[i];
#pragma GCC unroll 8
        for (int v = 0; v < count; v++) sum[v] += c * *(const vec *)(row + v * LANES);
    }
#pragma GCC unroll 8
    for (int v = 0; v < count; v++) *(vec *)(out + v * LANES) = sum[v];
}

/* The same for any number of modes, a multiple of 2 LANES. */
INLINE void NAME(gather)(const Hits *h, const float *weight, const float *rows, size_t stride,
                         int modes, float *out) {
    int m = 0;
    for (; m + 8 * LANES <= modes; m += 8 * LANES)
        NAME(add_rows)(h, weight, rows + m, stride, 8, out + m);
    for (; m + 4 * LANES <= modes; m += 4 * LANES)
        NAME(add_rows)(h, weight, rows + m, stride, 4, out + m);
    for (; m < modes; m += 2 * LANES) NAME(add_rows)(h, weight, rows + m, stride, 2, out + m);
}

/* code/|z| - offset, to unit length, shared out to the bins its position touches. */
INLINE void NAME(pooled)(const Shape *s, const Weights *w, float *code, float norm, int t, float *out) {
    const int y = t / s->grid, x = t % s->grid;
    const float inverse = norm > 0.f ? 1.f / norm : 0.f;
    vec square = {0};
    for (int m = 0; m < s->modes; m += LANES) {
        vec *c = (vec *)(code + m);
        *c = *c * inverse - *(const vec *)(w->offset + m);
        square += *c * *c;
    }
    float length = 1e-12f;
    for (int i = 0; i < LANES; i++) length += square[i];
    const float unit = 1.f / sqrtf(length);
    for (int i = 0; i < s->bins; i++)
        for (int j = 0; j < s->bins; j++) {
            const float share = w->pool[i * s->grid + y] * w->pool[j * s->grid + x] * unit;
            if (share == 0.f) continue;
            float *bin = out + (size_t)(i * s->bins + j) * s->modes;
            for (int m = 0; m < s->modes; m += LANES)
                *(vec *)(bin + m) += share * *(const vec *)(code + m);
        }
}

/* One image (side, side, channels) -> out (bins · bins, modes). */
static void NAME(encode)(const Shape *s, const Weights *w, const Scratch *x, const float *image,
                         float *out) {
    const int count = s->grid * s->grid, width = 2 * s->half, odd = s->modes - s->even;
    memset(x->code, 0, sizeof(float) * tiles(s) * ROWS * s->modes);
    memset(out, 0, sizeof(float) * s->bins * s->bins * s->modes);
    for (int t = 0; t < count; t += ROWS) {
        NAME(normalised)(s, w, image, t, x->u);
        NAME(whitened)(s, w, x->u, x->z + (size_t)t * width, x->norm + t);
    }
    for (int j = 0; j < s->atoms; j += BLOCK) {
        const int end = j + BLOCK < s->atoms ? j + BLOCK : s->atoms;
        for (int t = 0; t < count; t += ROWS) {
            const float *z = x->z + (size_t)t * width;
            Hits hits[ROWS];
            for (int r = 0; r < ROWS; r++) hits[r].n = 0;
            for (int a = j; a < end; a += TILE) {
                const float *dict = w->dict + (size_t)a * width;
                float p[ROWS][TILE], q[ROWS][TILE];
                NAME(product)(z, width, s->half, dict, p);
                NAME(product)(z + s->half, width, s->half, dict + (size_t)s->half * TILE, q);
                for (int r = 0; r < ROWS; r++)
                    NAME(answering)(p[r], q[r], s->threshold * x->norm[t + r], a, hits + r, x->pack);
            }
            for (int r = 0; r < ROWS && t + r < count; r++) {
                float *code = x->code + (size_t)(t + r) * s->modes;
                NAME(gather)(hits + r, hits[r].sum, w->rows, s->modes, s->even, code);
                NAME(gather)(hits + r, hits[r].gap, w->rows + s->even, s->modes, odd, code + s->even);
            }
        }
    }
    for (int t = 0; t < count; t++)
        NAME(pooled)(s, w, x->code + (size_t)t * s->modes, x->norm[t], t, out);
}
/* Unit rows z (n, 2 half) against all atoms: sums and differences of answers, (n, atoms) each. */
static void NAME(answers)(const float *z, size_t n, size_t half, const float *dict, size_t atoms,
                          float bar, float *sum, float *gap) {
    const size_t width = 2 * half, rows = 40 * ROWS; /* rows that stay in cache */
    float p[ROWS][TILE], q[ROWS][TILE], tail[ROWS * MOST];
    for (size_t block = 0; block < n; block += rows)
        for (size_t a = 0; a < atoms; a += TILE)
            for (size_t t = block; t < n && t < block + rows; t += ROWS) {
                const size_t count = n - t < ROWS ? n - t : ROWS;
                const float *from = z + t * width, *d = dict + a * width;
                if (count < ROWS) { /* past the end there may be no memory to read */
                    memset(tail, 0, sizeof(float) * ROWS * width);
                    from = memcpy(tail, from, sizeof(float) * count * width);
                }
                NAME(product)(from, width, half, d, p);
                NAME(product)(from + half, width, half, d + half * TILE, q);
                for (size_t r = 0; r < count; r++)
                    for (int j = 0; j < TILE; j++) {
                        const float one = p[r][j] + q[r][j] - bar, two = p[r][j] - q[r][j] - bar;
                        const float x = one > 0.f ? one : 0.f, y = two > 0.f ? two : 0.f;
                        sum[(t + r) * atoms + a + j] = x + y;
                        gap[(t + r) * atoms + a + j] = x - y;
                    }
            }
}
#undef INLINE
