// The choices of all slots of a step, made side by side before the server goes through the slots one by one.
#pragma once

#include "fast/choice.h"
#include "fast/crew.h"
#include "fast/probabilities.h"

#include <unordered_map>
#include <vector>

namespace fast {

// Tokens of a slot that the grammar has forced and the sampler has accepted. They are decoded with the token before
// them, and told to the client when that is done, since the probability of each comes from the token before it.
struct forced_run {
    std::vector<llama_token> tokens = {};
    int                      first  = -1; // where in the batch the logits of the first of them are
    size_t                   told   = 0;

    bool is_pending() const { return told < tokens.size(); }

    int next_index() const { return first + (int) told; }

    void clear() { *this = {}; }
};

class round {
  public:
    // What the server would tell where a grammar can no longer be kept.
    static constexpr const char * COMPLAINT = "The grammar engine gave up, and the rest of the answer would be free.";

    explicit round(llama_context * ctx) : ctx(ctx), vocab(llama_model_get_vocab(llama_get_model(ctx))) {}

    // `index`: of the logits in the batch; `room`: for forced tokens; `n_probs`: how many probabilities are wanted.
    void add(int slot, common_sampler * sampler, int index, int room, size_t n_probs) {
        // On this thread, because llama.cpp brings the rows into their order when the first is asked for.
        works.push_back({ slot, sampler, llama_get_logits_ith(ctx, index), room, n_probs, {}, {} });
    }

    void choose() {
        static crew threads(sampling_threads() > 0 ? sampling_threads() : default_sampling_threads());
        threads.run((int) works.size(), [this](int i) {
            auto & work = works[i];
            work.made   = fast::choose(work.sampler, vocab, work.logits, work.room);
            if (work.n_probs > 0 && work.made.token != LLAMA_TOKEN_NULL) {
                work.probabilities =
                    fast::probabilities(work.logits, llama_vocab_n_tokens(vocab), work.n_probs, work.made.token);
            }
        });
        for (auto & work : works) {
            by_slot[work.slot] = &work;
        }
    }

    // Whether the token of a slot was chosen here, and its sampler has accepted it.
    bool chose(int slot) const { return token(slot) != LLAMA_TOKEN_NULL; }

    bool failed(int slot, common_sampler * sampler) const {
        const auto * work = find(slot);
        return work != nullptr ? work->made.failed : gave_up(sampler);
    }

    // LLAMA_TOKEN_NULL if it was not chosen here.
    llama_token token(int slot) const {
        const auto * work = find(slot);
        return work != nullptr ? work->made.token : LLAMA_TOKEN_NULL;
    }

    std::vector<llama_token> take_forced(int slot) {
        auto * work = find(slot);
        return work != nullptr ? std::move(work->made.forced) : std::vector<llama_token>{};
    }

    // Of the chosen token; empty if they were not wanted, or it was not chosen here.
    std::vector<llama_token_data> take_probabilities(int slot) {
        auto * work = find(slot);
        return work != nullptr ? std::move(work->probabilities) : std::vector<llama_token_data>{};
    }

  private:
    struct work {
        int                           slot;
        common_sampler *              sampler;
        const float *                 logits;
        int                           room;
        size_t                        n_probs;
        choice                        made;
        std::vector<llama_token_data> probabilities;
    };

    work * find(int slot) const {
        const auto at = by_slot.find(slot);
        return at == by_slot.end() ? nullptr : at->second;
    }

    llama_context *                 ctx;
    const llama_vocab *             vocab;
    std::vector<work>               works;
    std::unordered_map<int, work *> by_slot;
};

} // namespace fast
