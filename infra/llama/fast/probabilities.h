// The probabilities of the most likely tokens and of the chosen one, without a sort of the vocabulary.
#pragma once

#include "llama.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace fast {

// Beyond this the server's own way is as good.
constexpr size_t MAX_PROBABILITIES = 16;

// Vectors of GCC and Clang, which become whatever instructions there are. Loops over floats do not, for the order of
// their additions is prescribed.
constexpr int LANES = 16;
typedef float   floats __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t ints __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef float   few_floats __attribute__((vector_size(4 * sizeof(float))));

// A server that is built for every processor of a kind uses what the one has that it runs on.
#if defined(__x86_64__) && defined(__linux__)
#    define FAST_FOR_THIS_PROCESSOR __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#    define FAST_FOR_THIS_PROCESSOR
#endif

// Adds e^x to `sum` for -87 <= x <= 0, to 2e-7 of its value. 2^f with -.5 <= f <= .5 is a Taylor polynomial in f ln 2;
// the whole part goes into the exponent.
__attribute__((always_inline)) inline void add_exponential(const floats & x, floats & sum) {
    const floats scaled = x * 1.44269504f;
    const ints   whole  = __builtin_convertvector(scaled - 0.5f, ints);
    const floats f      = (scaled - __builtin_convertvector(whole, floats)) * 0.69314718f;
    const floats power  = 1.0f + f * (1.0f + f * (0.5f + f * (0.16666667f + f * (0.041666667f +
                          f * (0.0083333333f + f * 0.0013888889f)))));
    const ints exponent = (whole + 127) << 23;
    floats     scale;
    std::memcpy(&scale, &exponent, sizeof scale);
    sum += power * scale;
}

// The sum of e^(logit - top) over the vocabulary. Sums of a block are in single precision, that of the blocks is not.
FAST_FOR_THIS_PROCESSOR
static double sum_of_exponentials(const float * logits, int n_vocab, float top) {
    constexpr int BLOCK = 256 * LANES;
    double        sum   = 0;
    int           i     = 0;
    while (i + LANES <= n_vocab) {
        floats    block = {};
        const int end   = std::min(i + BLOCK, n_vocab);
        for (; i + LANES <= end; i += LANES) {
            floats x;
            std::memcpy(&x, logits + i, sizeof x);
            x -= top;
            // Less than e^-87 is as good as nothing, and its exponent would not fit.
            for (int lane = 0; lane < LANES; lane++) {
                x[lane] = x[lane] < -87.0f ? -87.0f : x[lane];
            }
            add_exponential(x, block);
        }
        for (int lane = 0; lane < LANES; lane++) {
            sum += block[lane];
        }
    }
    for (; i < n_vocab; i++) {
        sum += std::exp((double) logits[i] - top);
    }
    return sum;
}

static float highest(const float * logits, int n_vocab) {
    float      top     = logits[0];
    few_floats most[4] = {};
    int        i       = 0;
    for (auto & each : most) {
        each += top;
    }
    for (; i + 16 <= n_vocab; i += 16) {
        for (int part = 0; part < 4; part++) {
            few_floats some;
            std::memcpy(&some, logits + i + 4 * part, sizeof some);
            most[part] = some > most[part] ? some : most[part];
        }
    }
    for (const auto & each : most) {
        for (int lane = 0; lane < 4; lane++) {
            top = std::max(top, each[lane]);
        }
    }
    for (; i < n_vocab; i++) {
        top = std::max(top, logits[i]);
    }
    return top;
}

// The `n_top` most likely tokens, the first of equals first; of one, `chosen` if it is as likely as any.
inline std::vector<llama_token_data> most_likely(const float * logits, int n_vocab, size_t n_top, float top,
                                                 llama_token chosen) {
    std::vector<llama_token_data> best;
    if (n_top == 1) {
        const auto at = logits[chosen] == top ? chosen : std::find(logits, logits + n_vocab, top) - logits;
        best.push_back({ (llama_token) (at < n_vocab ? at : 0), top, 0.0f });
        return best;
    }
    for (llama_token token = 0; token < n_vocab; token++) {
        if (best.size() == n_top && logits[token] <= best.back().logit) {
            continue;
        }
        auto place = best.end();
        while (place != best.begin() && (place - 1)->logit < logits[token]) {
            place--;
        }
        best.insert(place, { token, logits[token], 0.0f });
        if (best.size() > n_top) {
            best.pop_back();
        }
    }
    return best;
}

// The `n_top` most likely tokens with their probabilities, and behind them `chosen` if it is none of them.
inline std::vector<llama_token_data> probabilities(const float * logits, int n_vocab, size_t n_top, llama_token chosen) {
    const float top   = highest(logits, n_vocab);
    auto        found = most_likely(logits, n_vocab, n_top, top, chosen);
    const auto  is_it = [chosen](const llama_token_data & each) { return each.id == chosen; };
    if (std::none_of(found.begin(), found.end(), is_it)) {
        found.push_back({ chosen, logits[chosen], 0.0f });
    }
    const double sum = sum_of_exponentials(logits, n_vocab, top);
    for (auto & each : found) {
        each.p = (float) (std::exp((double) each.logit - top) / sum);
    }
    return found;
}

} // namespace fast
