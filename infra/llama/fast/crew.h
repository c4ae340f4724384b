// Threads that work on the slots of a step side by side.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace fast {

// How many threads choose the tokens of a step, that of the server included; 0 if nobody said.
inline int & sampling_threads() {
    static int threads = 0;
    return threads;
}

// Half of the cores, since the other half serves HTTP and drives the cards, and no more than eight: a step has few
// milliseconds of work for them.
inline int default_sampling_threads() {
    return std::clamp((int) std::thread::hardware_concurrency() / 2, 1, 8);
}

// One caller at a time.
class crew {
  public:
    explicit crew(int threads) {
        for (int i = 1; i < threads; i++) {
            workers.emplace_back([this] { wait_for_jobs(); });
        }
    }

    crew(const crew &)             = delete;
    crew & operator=(const crew &) = delete;

    ~crew() {
        {
            std::lock_guard<std::mutex> lock(mutex);
            ended = true;
        }
        begun.notify_all();
        for (auto & worker : workers) {
            worker.join();
        }
    }

    // Call `task(i)` once for each i below `count`; all have returned when this returns. A task must not throw.
    void run(int count, const std::function<void(int)> & task) {
        // Waking a thread costs about as much as one choice.
        if (workers.empty() || count < 3) {
            for (int i = 0; i < count; i++) {
                task(i);
            }
            return;
        }
        {
            std::lock_guard<std::mutex> lock(mutex);
            job     = &task;
            total   = count;
            next    = 0;
            working = (int) workers.size();
            round++;
        }
        begun.notify_all();
        work_on(task, count);
        std::unique_lock<std::mutex> lock(mutex);
        done.wait(lock, [this] { return working == 0; });
        job = nullptr;
    }

  private:
    void wait_for_jobs() {
        unsigned long seen = 0;
        for (;;) {
            const std::function<void(int)> * task;
            int                              count;
            {
                std::unique_lock<std::mutex> lock(mutex);
                begun.wait(lock, [&] { return ended || round != seen; });
                if (ended) {
                    return;
                }
                seen  = round;
                task  = job;
                count = total;
            }
            work_on(*task, count);
            {
                std::lock_guard<std::mutex> lock(mutex);
                working--;
            }
            done.notify_one();
        }
    }

    void work_on(const std::function<void(int)> & task, int count) {
        for (int i = next++; i < count; i = next++) {
            task(i);
        }
    }

    std::vector<std::thread>         workers;
    std::mutex                       mutex;
    std::condition_variable          begun;
    std::condition_variable          done;
    const std::function<void(int)> * job     = nullptr;
    int                              total   = 0;
    std::atomic<int>                 next    = 0;
    int                              working = 0;
    unsigned long                    round   = 0;
    bool                             ended   = false;
};

} // namespace fast
