// What the grammar leaves of the next token, for samplers of which nothing but the grammar decides.
#pragma once

#include "llama.h"

#include <vector>

struct common_sampler;

namespace fast {

// The most tokens behind a chosen one that are decoded with it. Each may need a row of logits, which the server
// allocates when it starts: slots x (1 + this) x vocabulary x 4 bytes.
constexpr int MAX_FORCED = 4;

bool is_llguidance(const llama_sampler * grammar);

// What a grammar of llguidance allows next, one bit a token, until the sampler accepts a token; made where there is none
// yet. Null if the engine has given up, and would from here on let every token pass.
const uint32_t * next_mask(llama_sampler * grammar);

// Whether this sampler takes the most likely token of those that llguidance allows, and nothing else decides.
bool can_choose(common_sampler * sampler);

// Whether the grammar of this sampler was given up by llguidance, so that its answers are free.
bool gave_up(common_sampler * sampler);

struct choice {
    bool                     failed = false;
    llama_token              token  = LLAMA_TOKEN_NULL; // still so where a request forbids all that its grammar allows
    std::vector<llama_token> forced;                    // behind it, where the grammar allows one token only; accepted as it is
};

// Take a token as common_sampler_sample and common_sampler_accept would, with at most `room` tokens that follow from it.
choice choose(common_sampler * sampler, const llama_vocab * vocab, const float * logits, int room);

} // namespace fast
