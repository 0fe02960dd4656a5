/* The hot loop, compiled once for each instruction set; see fused.c, which includes it.
 * NAME(x) gives every function the suffix of its instruction set. */

#define INLINE static inline __attribute__((always_inline))

/* a (ROWS, k) with row stride `lda` times b (k, COLUMNS): c (ROWS, COLUMNS). Sums stay in registers. */
INLINE void NAME(product)(const float *a, size_t lda, size_t k, const float *b,
                          float c[ROWS][COLUMNS]) {
    const vec zero = {0};
    vec s[ROWS][2];
#pragma GCC unroll 5
    for (int r = 0; r < ROWS; r++) s[r][0] = s[r][1] = zero;
    for (size_t i = 0; i < k; i++, b += COLUMNS) {
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

/* Bytes z (ROWS, k, 2, STEP), rows `lda` bytes apart, times atoms b (k, TILE, STEP):
 * c (ROWS, TILE). `start` undoes the ZERO in z. Sums of 16 bits are enough: they may wrap on
 * the way, but a patch and an atom of unit length end at LEVELS · 127 at most. */
INLINE void NAME(matched)(const u8 *z, size_t lda, size_t k, const i8 *b, const short *start,
                          short c[ROWS][TILE]) {
#ifdef __AVX2__
    const __m256i *from = (const __m256i *)start;
    __m256i s[ROWS][2];
#pragma GCC unroll 5
    for (int r = 0; r < ROWS; r++) {
        s[r][0] = _mm256_loadu_si256(from);
        s[r][1] = _mm256_loadu_si256(from + 1);
    }
    for (size_t i = 0; i < k; i++, b += TILE * STEP) {
        const __m256i b0 = _mm256_loadu_si256((const __m256i *)b);
        const __m256i b1 = _mm256_loadu_si256((const __m256i *)b + 1);
#pragma GCC unroll 5
        for (int r = 0; r < ROWS; r++) {
            int twice; /* a STEP and again: 4 bytes are cheaper to hand to all lanes than 2 */
            memcpy(&twice, z + r * lda + i * 2 * STEP, 2 * STEP);
            const __m256i one = _mm256_set1_epi32(twice);
            s[r][0] = _mm256_add_epi16(s[r][0], _mm256_maddubs_epi16(one, b0));
            s[r][1] = _mm256_add_epi16(s[r][1], _mm256_maddubs_epi16(one, b1));
        }
    }
#pragma GCC unroll 5
    for (int r = 0; r < ROWS; r++) {
        _mm256_storeu_si256((__m256i *)c[r], s[r][0]);
        _mm256_storeu_si256((__m256i *)c[r] + 1, s[r][1]);
    }
#else
    (void)start;
    memset(c, 0, sizeof(short) * ROWS * TILE);
    for (size_t i = 0; i < k; i++, b += TILE * STEP)
        for (int r = 0; r < ROWS; r++) {
            const u8 *two = z + r * lda + i * 2 * STEP;
            for (int j = 0; j < TILE; j++)
                c[r][j] += (short)((two[0] - ZERO) * b[2 * j] + (two[1] - ZERO) * b[2 * j + 1]);
        }
#endif
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

/* ROWS whitened patches, to unit length and rounded to bytes (ROWS, 2, steps, 2, STEP). */
INLINE void NAME(whitened)(const Shape *s, const Weights *w, const float *u, float *z, u8 *bytes) {
    const int p = s->patch * s->patch * s->channels, width = 2 * s->half;
    const size_t padded = 2 * STEP * steps(s->half);
    for (int j = 0; j < width; j += COLUMNS) {
        float c[ROWS][COLUMNS];
        NAME(product)(u, p, p, w->whiten + (size_t)j * p, c);
        const int n = width - j < COLUMNS ? width - j : COLUMNS;
        for (int r = 0; r < ROWS; r++) memcpy(z + r * width + j, c[r], sizeof(float) * n);
    }
    memset(bytes, ZERO, 2 * ROWS * padded);
    for (int r = 0; r < ROWS; r++, z += width, bytes += 2 * padded) {
        const float norm = sqrtf(NAME(sum)(z, width, 0.f, 1));
        if (!(norm > 1e-18f && norm < INFINITY)) continue; /* nothing there, or no numbers */
        const float scale = LEVELS / norm;
        for (int part = 0; part < 2; part++)
            for (int i = 0; i < s->half; i++) { /* half up: as plain code can say it too */
                u8 *two = bytes + part * padded + i / STEP * 2 * STEP + i % STEP;
                two[0] = two[STEP] = (u8)(z[part * s->half + i] * scale + (ZERO + 0.5f));
            }
    }
}

/* Which of TILE atom pairs answer above the bar: their numbers, the sum of the two answers
 * and the difference, appended to `h`. No branch: which ones answer can't be predicted. */
INLINE void NAME(answering)(const short *p, const short *q, int bar, int first, Hits *h,
                            const u8 (*pack)[2 * LANES]) {
#ifdef __AVX2__
    const __m256i b = _mm256_set1_epi16(bar), zero = _mm256_setzero_si256();
    const __m128i lane = _mm_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7);
    int n = h->n;
#pragma GCC unroll 2
    for (int j = 0; j < TILE; j += 2 * LANES) {
        const __m256i odd = _mm256_loadu_si256((const __m256i *)(q + j));
        const __m256i low = _mm256_sub_epi16(_mm256_loadu_si256((const __m256i *)(p + j)), b);
        const __m256i one = _mm256_max_epi16(_mm256_add_epi16(low, odd), zero);
        const __m256i two = _mm256_max_epi16(_mm256_sub_epi16(low, odd), zero);
        const __m256i sum = _mm256_add_epi16(one, two), gap = _mm256_sub_epi16(one, two);
        const __m256i hit = _mm256_cmpgt_epi16(sum, zero);
        const int masks = _mm256_movemask_epi8(_mm256_packs_epi16(hit, zero));
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            const int mask = masks >> 16 * half & 0xff;
            const __m128i order = _mm_loadu_si128((const __m128i *)pack[mask]);
            const __m128i number = _mm_add_epi16(lane, _mm_set1_epi16(first + j + half * LANES));
            const __m128i a = half ? _mm256_extracti128_si256(sum, 1) : _mm256_castsi256_si128(sum);
            const __m128i d = half ? _mm256_extracti128_si256(gap, 1) : _mm256_castsi256_si128(gap);
            _mm_storeu_si128((__m128i *)(h->atom + n), _mm_shuffle_epi8(number, order));
            _mm_storeu_si128((__m128i *)(h->sum + n), _mm_shuffle_epi8(a, order));
            _mm_storeu_si128((__m128i *)(h->gap + n), _mm_shuffle_epi8(d, order));
            n += __builtin_popcount(mask);
        }
    }
    h->n = n;
#else
    (void)pack;
    for (int j = 0; j < TILE; j++) {
        const int a = p[j] + q[j] - bar, b = p[j] - q[j] - bar;
        const int one = a > 0 ? a : 0, two = b > 0 ? b : 0;
        h->atom[h->n] = first + j;
        h->sum[h->n] = one + two;
        h->gap[h->n] = one - two;
        h->n += one + two > 0;
    }
#endif
}

/* out (count vectors) += Σ weight · row of modes, with the sums kept in registers. */
INLINE void NAME(add_rows)(const Hits *h, const short *weight, const float *rows, size_t stride,
                           const int count, float *out) {
    vec sum[8];
#pragma GCC unroll 8
    for (int v = 0; v < count; v++) sum[v] = *(const vec *)(out + v * LANES);
    for (int i = 0; i < h->n; i++) {
        const float *row = rows + (size_t)(unsigned short)h->atom[i] * stride, c = weight[i];
#pragma GCC unroll 8
        for (int v = 0; v < count; v++) sum[v] += c * *(const vec *)(row + v * LANES);
    }
#pragma GCC unroll 8
    for (int v = 0; v < count; v++) *(vec *)(out + v * LANES) = sum[v];
}

/* The same for any number of modes, a multiple of 2 LANES. */
INLINE void NAME(gather)(const Hits *h, const short *weight, const float *rows, size_t stride,
                         int modes, float *out) {
    int m = 0;
    for (; m + 8 * LANES <= modes; m += 8 * LANES)
        NAME(add_rows)(h, weight, rows + m, stride, 8, out + m);
    for (; m + 4 * LANES <= modes; m += 4 * LANES)
        NAME(add_rows)(h, weight, rows + m, stride, 4, out + m);
    for (; m < modes; m += 2 * LANES) NAME(add_rows)(h, weight, rows + m, stride, 2, out + m);
}

/* code - offset, to unit length, shared out to the bins its position touches. */
INLINE void NAME(pooled)(const Shape *s, const Weights *w, float *code, int t, float *out) {
    const int y = t / s->grid, x = t % s->grid;
    vec square = {0};
    for (int m = 0; m < s->modes; m += LANES) {
        vec *c = (vec *)(code + m);
        *c -= *(const vec *)(w->offset + m);
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
    const int count = s->grid * s->grid, odd = s->modes - s->even;
    const size_t k = steps(s->half), width = 4 * k * STEP;
    memset(x->code, 0, sizeof(float) * tiles(s) * ROWS * s->modes);
    memset(out, 0, sizeof(float) * s->bins * s->bins * s->modes);
    for (int t = 0; t < count; t += ROWS) {
        NAME(normalised)(s, w, image, t, x->u);
        NAME(whitened)(s, w, x->u, x->z, x->bytes + t * width);
    }
    for (int j = 0; j < s->atoms; j += BLOCK) {
        const int end = j + BLOCK < s->atoms ? j + BLOCK : s->atoms;
        for (int t = 0; t < count; t += ROWS) {
            const u8 *z = x->bytes + t * width;
            Hits hits[ROWS];
            for (int r = 0; r < ROWS; r++) hits[r].n = 0;
            for (size_t a = j; a < (size_t)end; a += TILE) {
                const i8 *dict = w->dict + a * 2 * k * STEP;
                const short *start = w->start + a * 2;
                short p[ROWS][TILE], q[ROWS][TILE];
                NAME(matched)(z, width, k, dict, start, p);
                NAME(matched)(z + width / 2, width, k, dict + k * STEP * TILE, start + TILE, q);
                for (int r = 0; r < ROWS; r++)
                    NAME(answering)(p[r], q[r], s->bar, a, hits + r, x->pack);
            }
            for (int r = 0; r < ROWS && t + r < count; r++) {
                float *code = x->code + (size_t)(t + r) * s->modes;
                NAME(gather)(hits + r, hits[r].sum, w->rows, s->modes, s->even, code);
                NAME(gather)(hits + r, hits[r].gap, w->rows + s->even, s->modes, odd, code + s->even);
            }
        }
    }
    for (int t = 0; t < count; t++) NAME(pooled)(s, w, x->code + (size_t)t * s->modes, t, out);
}

/* Patches as bytes against all atoms: sums and differences of answers, (n, atoms) each. */
static void NAME(answers)(const u8 *z, size_t n, size_t k, const i8 *dict, const short *start,
                          size_t atoms, int bar, float *sum, float *gap) {
    const size_t width = 4 * k * STEP, rows = 40 * ROWS; /* rows that stay in cache */
    short p[ROWS][TILE], q[ROWS][TILE];
    for (size_t block = 0; block < n; block += rows)
        for (size_t a = 0; a < atoms; a += TILE)
            for (size_t t = block; t < n && t < block + rows; t += ROWS) {
                const i8 *d = dict + a * 2 * k * STEP;
                const u8 *from = z + t * width; /* n is a multiple of ROWS */
                NAME(matched)(from, width, k, d, start + a * 2, p);
                NAME(matched)(from + width / 2, width, k, d + k * STEP * TILE,
                              start + a * 2 + TILE, q);
                for (size_t r = 0; r < ROWS; r++)
                    for (int j = 0; j < TILE; j++) {
                        const int one = p[r][j] + q[r][j] - bar, two = p[r][j] - q[r][j] - bar;
                        const int x = one > 0 ? one : 0, y = two > 0 ? two : 0;
                        sum[(t + r) * atoms + a + j] = (float)(x + y);
                        gap[(t + r) * atoms + a + j] = (float)(x - y);
                    }
            }
}
#undef INLINE
