/* The evals in plain C with derivatives by hand: what a program for one function alone reaches.

   Every function of derivatives writes all of its results. Buffers come from the caller or the stack; nothing is allocated. */

#include <math.h>
#include <string.h>

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT
#endif

/* ---- gmm: gradient of the log posterior by alpha, mu, q, l, with y = x - mu and z = Q y; work holds k (1 + 3 d) numbers ---- */

EXPORT void gmm_gradient(int d, int k, int n, const double *alpha, const double *mu, const double *q, const double *l, const double *x,
                         int m, double gamma, double *work, double *d_alpha, double *d_mu, double *d_q, double *d_l)
{
    int below = d * (d - 1) / 2;
    double *term = work, *diagonal = term + k, *y = diagonal + k * d, *z = y + k * d;      /* y, z: k rows of d */
    double largest = alpha[0], sum = 0.0;

    for (int c = 0; c < k; c++) {
        largest = fmax(largest, alpha[c]);
    }
    for (int c = 0; c < k; c++) {
        sum += exp(alpha[c] - largest);
    }
    for (int c = 0; c < k; c++) {
        d_alpha[c] = -n * exp(alpha[c] - largest) / sum;
    }
    for (int i = 0; i < k * d; i++) {
        diagonal[i] = exp(q[i]);
        d_mu[i] = 0.0;
        d_q[i] = m - gamma * gamma * diagonal[i] * diagonal[i];
    }
    for (int i = 0; i < k * below; i++) {
        d_l[i] = -gamma * gamma * l[i];
    }
    for (int p = 0; p < n; p++) {
        const double *xp = x + p * d;
        double top = -INFINITY, total = 0.0;
        for (int c = 0; c < k; c++) {
            double *yc = y + c * d, *zc = z + c * d, square = 0.0, determinant = 0.0;
            const double *lc = l + c * below;
            for (int i = 0; i < d; i++) {
                yc[i] = xp[i] - mu[c * d + i];
                zc[i] = diagonal[c * d + i] * yc[i];
                determinant += q[c * d + i];
            }
            for (int j = 0; j < d; j++) {
                for (int i = j + 1; i < d; i++) {
                    zc[i] += lc[i - j - 1] * yc[j];
                }
                lc += d - j - 1;
            }
            for (int i = 0; i < d; i++) {
                square += zc[i] * zc[i];
            }
            term[c] = alpha[c] + determinant - 0.5 * square;
            top = fmax(top, term[c]);
        }
        for (int c = 0; c < k; c++) {
            term[c] = exp(term[c] - top);
            total += term[c];
        }
        for (int c = 0; c < k; c++) {
            double share = term[c] / total;
            double *yc = y + c * d, *zc = z + c * d;
            const double *lc = l + c * below;
            double *dl = d_l + c * below, *dm = d_mu + c * d;
            d_alpha[c] += share;
            for (int i = 0; i < d; i++) {
                zc[i] *= share;
                d_q[c * d + i] += share - zc[i] * yc[i] * diagonal[c * d + i];
                dm[i] += diagonal[c * d + i] * zc[i];
            }
            for (int j = 0; j < d; j++) {
                double back = 0.0;
                for (int i = j + 1; i < d; i++) {
                    dl[i - j - 1] -= zc[i] * yc[j];
                    back += lc[i - j - 1] * zc[i];
                }
                dm[j] += back;
                lc += d - j - 1;
                dl += d - j - 1;
            }
        }
    }
}

/* ---- ba: values of the Jacobian, two rows of 15 for each observation, then the derivative of 1 - w^2 ---- */

static void cross(const double *a, const double *b, double *c)
{
    c[0] = a[1] * b[2] - a[2] * b[1];
    c[1] = a[2] * b[0] - a[0] * b[2];
    c[2] = a[0] * b[1] - a[1] * b[0];
}

/* Rotates x about r; returns in `by_x` the rotation and in `by_r` the derivative by r, rows of 3. */
static void rotate(const double *r, const double *x, double *y, double by_x[3][3], double by_r[3][3])
{
    double square = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
    if (square > 0.0) {
        double angle = sqrt(square), s = sin(angle), c = cos(angle), w[3], wx[3], dot;
        for (int i = 0; i < 3; i++) {
            w[i] = r[i] / angle;
        }
        cross(w, x, wx);
        dot = w[0] * x[0] + w[1] * x[1] + w[2] * x[2];
        double skew[3][3] = {{0.0, -w[2], w[1]}, {w[2], 0.0, -w[0]}, {-w[1], w[0], 0.0}};
        double minus_skew_x[3][3] = {{0.0, x[2], -x[1]}, {-x[2], 0.0, x[0]}, {x[1], -x[0], 0.0}};
        for (int i = 0; i < 3; i++) {
            double by_angle = -x[i] * s + wx[i] * c + w[i] * dot * s, by_w[3];
            y[i] = x[i] * c + wx[i] * s + w[i] * dot * (1.0 - c);
            for (int j = 0; j < 3; j++) {
                by_x[i][j] = (i == j ? c : 0.0) + skew[i][j] * s + w[i] * w[j] * (1.0 - c);
                by_w[j] = minus_skew_x[i][j] * s + ((i == j ? dot : 0.0) + w[i] * x[j]) * (1.0 - c);
            }
            double along = by_w[0] * w[0] + by_w[1] * w[1] + by_w[2] * w[2];
            for (int j = 0; j < 3; j++) {
                by_r[i][j] = by_angle * w[j] + (by_w[j] - along * w[j]) / angle;
            }
        }
    } else {
        double skew[3][3] = {{0.0, -r[2], r[1]}, {r[2], 0.0, -r[0]}, {-r[1], r[0], 0.0}};
        double minus_skew_x[3][3] = {{0.0, x[2], -x[1]}, {-x[2], 0.0, x[0]}, {x[1], -x[0], 0.0}};
        cross(r, x, y);
        for (int i = 0; i < 3; i++) {
            y[i] += x[i];
            for (int j = 0; j < 3; j++) {
                by_x[i][j] = (i == j) + skew[i][j];
                by_r[i][j] = minus_skew_x[i][j];
            }
        }
    }
}

EXPORT void ba_jacobian(int count, const double *cameras, const double *points, const double *weight, const double *feature,
                        const long long *seen_by, const long long *seen, double *values)
{
    for (int p = 0; p < count; p++) {
        const double *camera = cameras + 11 * seen_by[p], *point = points + 3 * seen[p];
        double moved[3], turned[3], by_x[3][3], by_r[3][3], plane[2], w = weight[p];
        for (int i = 0; i < 3; i++) {
            moved[i] = point[i] - camera[3 + i];
        }
        rotate(camera, moved, turned, by_x, by_r);
        plane[0] = turned[0] / turned[2];
        plane[1] = turned[1] / turned[2];
        double square = plane[0] * plane[0] + plane[1] * plane[1], focal = camera[6];
        double stretch = 1.0 + camera[9] * square + camera[10] * square * square;
        double by_square = camera[9] + 2.0 * camera[10] * square;
        for (int k = 0; k < 2; k++) {
            double *row = values + 30 * p + 15 * k, by_turned[3] = {0.0, 0.0, 0.0};
            for (int j = 0; j < 2; j++) {
                double by_plane = w * focal * ((j == k ? stretch : 0.0) + plane[k] * by_square * 2.0 * plane[j]);
                by_turned[j] += by_plane / turned[2];
                by_turned[2] -= by_plane * plane[j] / turned[2];
            }
            for (int j = 0; j < 3; j++) {
                row[j] = by_turned[0] * by_r[0][j] + by_turned[1] * by_r[1][j] + by_turned[2] * by_r[2][j];
                row[11 + j] = by_turned[0] * by_x[0][j] + by_turned[1] * by_x[1][j] + by_turned[2] * by_x[2][j];
                row[3 + j] = -row[11 + j];
            }
            row[6] = w * plane[k] * stretch;
            row[7] = k == 0 ? w : 0.0;
            row[8] = k == 1 ? w : 0.0;
            row[9] = w * focal * plane[k] * square;
            row[10] = w * focal * plane[k] * square * square;
            row[14] = plane[k] * stretch * focal + camera[7 + k] - feature[2 * p + k];
        }
        values[30 * count + p] = -2.0 * w;
    }
}

/* ---- kmeans: gradient over second derivative; sizes are counts of points ---- */

EXPORT void kmeans_direction(int n, int k, int d, const double *points, const double *centroids, double *sizes, double *direction)
{
    memset(sizes, 0, k * sizeof(double));
    memset(direction, 0, (size_t)k * d * sizeof(double));
    for (int p = 0; p < n; p++) {
        double least = INFINITY;
        int nearest = 0;
        for (int c = 0; c < k; c++) {
            double square = 0.0;
            for (int i = 0; i < d; i++) {
                double gap = points[p * d + i] - centroids[c * d + i];
                square += gap * gap;
            }
            if (square < least) {
                least = square;
                nearest = c;
            }
        }
        sizes[nearest] += 2.0;
        for (int i = 0; i < d; i++) {
            direction[nearest * d + i] -= 2.0 * (points[p * d + i] - centroids[nearest * d + i]);
        }
    }
    for (int c = 0; c < k; c++) {
        for (int i = 0; i < d; i++) {
            direction[c * d + i] /= sizes[c];
        }
    }
}

/* ---- llsq; power holds m numbers ---- */

EXPORT void llsq_gradient(int n, int m, const double *x, double *power, double *gradient)
{
    memset(gradient, 0, m * sizeof(double));
    for (int i = 0; i < n; i++) {
        double t = -1.0 + 2.0 * i / (n - 1.0), residual = (t > 0.0) - (t < 0.0), p = 1.0;
        for (int j = 0; j < m; j++) {
            power[j] = p;
            residual -= x[j] * p;
            p *= t;
        }
        for (int j = 0; j < m; j++) {
            gradient[j] -= residual * power[j];
        }
    }
}

/* ---- lse ---- */

EXPORT void lse_gradient(int n, const double *x, double *gradient)
{
    double largest = x[0], sum = 0.0;
    for (int i = 1; i < n; i++) {
        largest = x[i] > largest ? x[i] : largest;
    }
    for (int i = 0; i < n; i++) {
        gradient[i] = exp(x[i] - largest);
        sum += gradient[i];
    }
    for (int i = 0; i < n; i++) {
        gradient[i] /= sum;
    }
}

/* ---- lstm; saved holds 7 numbers a step, layer and bit: forget, enter, leave, change, cell, its tanh, hidden; work 4 bits + 4 layers bits ---- */

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

EXPORT void lstm_gradient(int layers, int characters, int bits, const double *main, const double *extra, const double *state,
                          const double *sequence, double *saved, double *outputs, double *work, double *d_main, double *d_extra)
{
    int row = layers * bits;
    double scale = -1.0 / ((double)bits * (characters - 1));
    double *d_hidden = work, *d_cell = d_hidden + row, *d_x = d_cell + row;
    memset(d_main, 0, 8 * row * sizeof(double));
    memset(d_extra, 0, 3 * bits * sizeof(double));
    memset(work, 0, (2 * row + bits) * sizeof(double));
    for (int t = 0; t < characters - 1; t++) {
        double total = 2.0, *out = outputs + t * bits;
        for (int a = 0; a < layers; a++) {
            const double *weight = main + 8 * bits * a, *bias = weight + 4 * bits;
            double *s = saved + 7 * (size_t)(t * row + a * bits), *before = s - 7 * (size_t)row, *below = s - 7 * bits;
            for (int i = 0; i < bits; i++) {
                double hidden = t == 0 ? state[2 * a * bits + i] : before[7 * i + 6];
                double cell = t == 0 ? state[(2 * a + 1) * bits + i] : before[7 * i + 4];
                double x = a == 0 ? sequence[t * bits + i] * extra[i] : below[7 * i + 6];
                double *g = s + 7 * i;
                g[0] = sigmoid(x * weight[i] + bias[i]);
                g[1] = sigmoid(hidden * weight[bits + i] + bias[bits + i]);
                g[2] = sigmoid(x * weight[2 * bits + i] + bias[2 * bits + i]);
                g[3] = tanh(hidden * weight[3 * bits + i] + bias[3 * bits + i]);
                g[4] = cell * g[0] + g[1] * g[3];
                g[5] = tanh(g[4]);
                g[6] = g[2] * g[5];
            }
        }
        for (int i = 0; i < bits; i++) {
            double predicted = saved[7 * (size_t)(t * row + row - bits + i) + 6] * extra[bits + i] + extra[2 * bits + i];
            out[i] = exp(predicted);
            total += out[i];
        }
        for (int i = 0; i < bits; i++) {
            out[i] /= total;
        }
    }
    for (int t = characters - 2; t >= 0; t--) {
        const double *target = sequence + (t + 1) * bits;
        double ones = 0.0;
        for (int i = 0; i < bits; i++) {
            ones += target[i];
        }
        for (int i = 0; i < bits; i++) {
            double d_predicted = scale * (target[i] - ones * outputs[t * bits + i]);
            d_extra[bits + i] += d_predicted * saved[7 * (size_t)(t * row + row - bits + i) + 6];
            d_extra[2 * bits + i] += d_predicted;
            d_x[i] = d_predicted * extra[bits + i];
        }
        for (int a = layers - 1; a >= 0; a--) {
            const double *weight = main + 8 * bits * a;
            double *dw = d_main + 8 * bits * a, *db = dw + 4 * bits, *dh = d_hidden + a * bits, *dc = d_cell + a * bits;
            double *s = saved + 7 * (size_t)(t * row + a * bits), *before = s - 7 * (size_t)row, *below = s - 7 * bits;
            for (int i = 0; i < bits; i++) {
                double hidden = t == 0 ? state[2 * a * bits + i] : before[7 * i + 6];
                double cell = t == 0 ? state[(2 * a + 1) * bits + i] : before[7 * i + 4];
                double x = a == 0 ? sequence[t * bits + i] * extra[i] : below[7 * i + 6];
                double *g = s + 7 * i, d_out = dh[i] + d_x[i];
                double whole = dc[i] + d_out * g[2] * (1.0 - g[5] * g[5]);
                double f = whole * cell * g[0] * (1.0 - g[0]), e = whole * g[3] * g[1] * (1.0 - g[1]);
                double o = d_out * g[5] * g[2] * (1.0 - g[2]), c = whole * g[1] * (1.0 - g[3] * g[3]);
                dw[i] += f * x;
                dw[bits + i] += e * hidden;
                dw[2 * bits + i] += o * x;
                dw[3 * bits + i] += c * hidden;
                db[i] += f;
                db[bits + i] += e;
                db[2 * bits + i] += o;
                db[3 * bits + i] += c;
                dc[i] = whole * g[0];
                dh[i] = e * weight[bits + i] + c * weight[3 * bits + i];
                d_x[i] = f * weight[i] + o * weight[2 * bits + i];
            }
        }
        for (int i = 0; i < bits; i++) {
            d_extra[i] += d_x[i] * sequence[t * bits + i];
        }
    }
}

/* ---- ode: gradient of the last element; trace holds 4 rows of n a step (y and the points of k2, k3, k4), work 6 n ---- */

static void slope(int n, const double *x, const double *y, double *dy)
{
    dy[0] = x[0];
    for (int i = 1; i < n; i++) {
        dy[i] = x[i] * y[i - 1];
    }
}

static void slope_back(int n, const double *x, const double *y, const double *d_dy, double *d_x, double *d_y)
{
    d_x[0] += d_dy[0];
    for (int i = 1; i < n; i++) {
        d_x[i] += y[i - 1] * d_dy[i];
        d_y[i - 1] = x[i] * d_dy[i];
    }
    d_y[n - 1] = 0.0;
}

EXPORT void ode_gradient(int n, int steps, const double *x, double *trace, double *work, double *d_x)
{
    double h = 2.0 / steps, *k = work, *sum = work + n, *d_y = work + 2 * n, *d_k = work + 3 * n, *d_point = work + 4 * n, *d_end = work + 5 * n;
    memset(trace, 0, n * sizeof(double));
    memset(d_x, 0, n * sizeof(double));
    memset(d_y, 0, n * sizeof(double));
    for (int s = 0; s < steps; s++) {
        double *y = trace + 4 * (size_t)s * n;
        for (int stage = 0; stage < 4; stage++) {
            double weight = stage == 0 || stage == 3 ? 1.0 : 2.0, reach = stage == 2 ? h : 0.5 * h;
            slope(n, x, y + stage * n, k);
            for (int i = 0; i < n; i++) {
                sum[i] = (stage == 0 ? 0.0 : sum[i]) + weight * k[i];
                if (stage < 3) {
                    y[(stage + 1) * n + i] = y[i] + reach * k[i];
                }
            }
        }
        if (s < steps - 1) {
            for (int i = 0; i < n; i++) {
                y[4 * n + i] = y[i] + h * sum[i] / 6.0;
            }
        }
    }
    d_y[n - 1] = 1.0;
    for (int s = steps - 1; s >= 0; s--) {
        double *y = trace + 4 * (size_t)s * n;
        for (int i = 0; i < n; i++) {
            d_end[i] = d_y[i];
            d_k[i] = h * d_y[i] / 6.0;
        }
        for (int stage = 3; stage >= 0; stage--) {
            double reach = stage == 3 ? h : 0.5 * h;
            slope_back(n, x, y + stage * n, d_k, d_x, d_point);
            for (int i = 0; i < n; i++) {
                d_y[i] += d_point[i];
                if (stage > 0) {
                    d_k[i] = (stage == 1 ? h / 6.0 : h / 3.0) * d_end[i] + reach * d_point[i];
                }
            }
        }
    }
}

/* ---- det: by minors; column lists are linked, as rows are taken in order ---- */

static double minor_value(const double *a, int n, int first, int *next)
{
    double total = 0.0, sign = 1.0;
    if (first == n - 1) {
        return a[first * n + next[n]];
    }
    for (int before = n, column = next[n]; column < n; before = column, column = next[column]) {
        next[before] = next[column];
        total += sign * a[first * n + column] * minor_value(a, n, first + 1, next);
        next[before] = column;
        sign = -sign;
    }
    return total;
}

/* Adds w times the derivative of a minor, and returns its value. */
static double minor_back(const double *a, int n, int first, int *next, double w, double *gradient)
{
    double total = 0.0, sign = 1.0;
    if (first == n - 1) {
        gradient[first * n + next[n]] += w;
        return a[first * n + next[n]];
    }
    for (int before = n, column = next[n]; column < n; before = column, column = next[column]) {
        double value;
        next[before] = next[column];
        value = minor_back(a, n, first + 1, next, w * sign * a[first * n + column], gradient);
        next[before] = column;
        gradient[first * n + column] += w * sign * value;
        total += sign * a[first * n + column] * value;
        sign = -sign;
    }
    return total;
}

EXPORT void det_gradient(int n, const double *a, int *next, double *gradient)
{
    for (int i = 0; i < n; i++) {
        next[i] = i + 1;
    }
    next[n] = 0;
    memset(gradient, 0, (size_t)n * n * sizeof(double));
    minor_back(a, n, 0, next, 1.0, gradient);
}

/* ---- the functions alone ---- */

EXPORT double det_value(int n, const double *a, int *next)
{
    for (int i = 0; i < n; i++) {
        next[i] = i + 1;
    }
    next[n] = 0;
    return minor_value(a, n, 0, next);
}

EXPORT void ode_value(int n, int steps, const double *x, double *work, double *y)
{
    double h = 2.0 / steps, *k = work, *sum = work + n, *point = work + 2 * n;
    memset(y, 0, n * sizeof(double));
    for (int s = 0; s < steps; s++) {
        memcpy(point, y, n * sizeof(double));
        for (int stage = 0; stage < 4; stage++) {
            double weight = stage == 0 || stage == 3 ? 1.0 : 2.0, reach = stage == 2 ? h : 0.5 * h;
            slope(n, x, point, k);
            for (int i = 0; i < n; i++) {
                sum[i] = (stage == 0 ? 0.0 : sum[i]) + weight * k[i];
                point[i] = y[i] + reach * k[i];
            }
        }
        for (int i = 0; i < n; i++) {
            y[i] += h * sum[i] / 6.0;
        }
    }
}
