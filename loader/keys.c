#include "loader/keys.h"

#include "lib/text.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Above it, the draws' exponent 1 / (1 - THETA) takes digits away. */
#define THETA_MAX 0.999

int keys_skew_parse(const char *text, struct keys_skew *ret, struct error *err) {
    static const char zipf[] = "zipf:";
    struct keys_skew skew = {.model = KEYS_UNIFORM};
    if (text_equal(text, "uniform")) {
        *ret = skew;
        return 0;
    }
    if (!text_starts(text, zipf))
        return error_set(err, ERROR_INVALID, "'%.64s' is neither uniform nor zipf:THETA", text);
    const char *theta = text + strlen(zipf);
    char *end;
    skew.model = KEYS_ZIPF;
    skew.theta = strtod(theta, &end);
    if (*theta == '\0' || strspn(theta, "0123456789.") != strlen(theta) || *end ||
        !(skew.theta <= THETA_MAX)) {
        error_set(err, ERROR_INVALID, "'%.64s' is no THETA from 0 to %g", theta, THETA_MAX);
        return error_hint(err, "zipf:0.99 is what YCSB uses");
    }
    *ret = skew;
    return 0;
}

/* The first terms one by one; the rest by the formula of Euler and Maclaurin, whose next term is
 * below 1e-12 there. */
double keys_zeta(uint64_t n, double theta) {
    enum { FIRST = 1000 };
    double sum = 0;
    uint64_t first = n < FIRST ? n : FIRST;
    for (uint64_t i = 1; i <= first; i++)
        sum += pow((double)i, -theta);
    if (n == first)
        return sum;
    double a = (double)first, b = (double)n, rest = 1 - theta;
    sum += (pow(b, rest) - pow(a, rest)) / rest;
    sum += (pow(b, -theta) - pow(a, -theta)) / 2;
    return sum + theta / 12 * (pow(a, -theta - 1) - pow(b, -theta - 1));
}

void keys_init(struct keys *k, uint64_t space, const struct keys_skew *skew) {
    assert(space > 0 && skew->theta >= 0 && skew->theta <= THETA_MAX);
    *k = (struct keys){.space = space, .skew = *skew};
    if (skew->model == KEYS_UNIFORM)
        return;
    k->zeta = keys_zeta(space, skew->theta);
    k->second = 1 + pow(0.5, skew->theta);
    k->alpha = 1 / (1 - skew->theta);
    k->eta = space > 2 ? (1 - pow(2 / (double)space, 1 - skew->theta)) / (1 - k->second / k->zeta)
                       : 0; /* two keys need no curve */
}

/* Figure 2 of the paper. */
static uint64_t draw_zipf(const struct keys *k, double u) {
    double at = u * k->zeta;
    if (k->space == 1 || at < 1)
        return 0;
    if (k->space == 2 || at < k->second)
        return 1;
    double key = (double)k->space * pow(k->eta * u - k->eta + 1, k->alpha);
    return key < (double)k->space ? (uint64_t)key : k->space - 1;
}

uint64_t keys_draw(const struct keys *k, uint64_t random) {
    if (k->skew.model == KEYS_ZIPF)
        return draw_zipf(k, (double)(random >> 11) * 0x1p-53);
    return (uint64_t)((unsigned __int128)random * k->space >> 64);
}
