// INSTEP_THREADS=pool: our own threads. Each has a range of chunks of its own and helps the others
// when it is through, so nobody waits for a thread that comes late: only for chunks begun.
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>

#include "parallel.h"

namespace instep {
namespace {

constexpr int kMaxThreads = 256;
constexpr int kSpins = 1000;  // a few dozen microseconds; see benchmarks/threads.py
// Bytes: tiles take half a MiB, which is all that some systems give.
constexpr size_t kStack = 2 << 20;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// The unclaimed chunks [next, end) of one thread in one region. All in one word, so that a claim
// that comes too late fails: its region is over, and the word another.
struct Range {
  uint32_t region;
  uint16_t next, end;
};

struct alignas(128) Member {
  pthread_t thread;
  std::atomic<Range> range{Range{0, 0, 0}};
  std::atomic<bool> asleep{false};
  std::mutex mutex;
  std::condition_variable wake;
};

// One region at a time; a second caller does without. `body` and `context` are written while no
// chunk can be claimed, and read after a claim has succeeded.
struct Pool {
  std::atomic<bool> busy{false};
  std::atomic<int> unfinished{0};  // chunks
  std::atomic<int> threads{0};     // of the last region; a hint for those that come late
  Body body = nullptr;
  void* context = nullptr;
  uint32_t region = 0;
  int started = 1;  // members with a thread; the first is whoever calls
  Member members[kMaxThreads];
};

Pool* g_pool = nullptr;  // never deleted: its threads live until the process ends
int g_limit = 1;

bool claim(Member& from, uint32_t region, int& chunk) {
  Range range = from.range.load(std::memory_order_acquire);
  while (range.region == region && range.next < range.end) {
    chunk = range.next;
    const Range rest = {region, static_cast<uint16_t>(range.next + 1), range.end};
    if (from.range.compare_exchange_weak(range, rest, std::memory_order_acquire)) return true;
  }
  return false;
}

// Sleeper and waker each write first and then read what the other writes: one of them sees it.
void wake(Member& member) {
  if (!member.asleep) return;
  const std::lock_guard<std::mutex> lock(member.mutex);
  member.wake.notify_one();
}

// Waits awake for a moment, then asleep, which leaves the core to a thread that was preempted.
template <class Condition>
void wait_until(Member& own, Condition holds) {
  for (int spin = 0; spin < kSpins && !holds(); ++spin) pause();
  if (holds()) return;
  std::unique_lock<std::mutex> lock(own.mutex);
  own.asleep = true;
  own.wake.wait(lock, holds);
  own.asleep = false;
}

void take_part(Pool& pool, int self, uint32_t region) {
  const int threads = pool.threads.load(std::memory_order_relaxed);
  int chunk, done = 0;
  for (int i = 0; i < threads; ++i) {
    while (claim(pool.members[(self + i) % threads], region, chunk)) {
      pool.body(pool.context, chunk);
      ++done;
    }
  }
  // Once for all of them: the counter's cache line is another thread's each time.
  if (done > 0 && pool.unfinished.fetch_sub(done) == done) wake(pool.members[0]);
}

void* work(void* member) {
  Pool& pool = *g_pool;
  Member& own = *static_cast<Member*>(member);
  for (uint32_t region = 0;;) {
    wait_until(own, [&] { return own.range.load().region != region; });
    region = own.range.load().region;
    take_part(pool, static_cast<int>(&own - pool.members), region);
  }
}

// Signals are for the program's own threads, but for those that a fault of this one raises.
bool start_thread(Member& member) {
  sigset_t blocked, before;
  sigfillset(&blocked);
  sigdelset(&blocked, SIGSEGV);
  sigdelset(&blocked, SIGBUS);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStack);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  const bool fine = pthread_create(&member.thread, &attributes, work, &member) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  return fine;
}

// Some schedulers wake a thread on the core of whoever wakes it, however idle the others are.
void wake_elsewhere(Member& member) {
  cpu_set_t usable;
  if (!member.asleep) return;
  if (sched_getaffinity(0, sizeof usable, &usable) != 0) return wake(member);
  cpu_set_t elsewhere = usable;
  CPU_CLR(sched_getcpu(), &elsewhere);
  pthread_setaffinity_np(member.thread, sizeof elsewhere, &elsewhere);
  wake(member);
  pthread_setaffinity_np(member.thread, sizeof usable, &usable);
}

// Threads that cannot be had are not missed: others take their chunks.
void run_region(Pool& pool, int threads, int chunks, Body body, void* context) {
  while (pool.started < threads && start_thread(pool.members[pool.started])) ++pool.started;
  pool.body = body;
  pool.context = context;
  pool.threads.store(threads, std::memory_order_relaxed);
  pool.unfinished.store(threads * chunks, std::memory_order_relaxed);
  const uint32_t region = ++pool.region;
  for (int i = 0; i < threads; ++i) {
    const int first = i * chunks;
    pool.members[i].range = {region, static_cast<uint16_t>(first),
                             static_cast<uint16_t>(first + chunks)};
  }
  for (int i = 1; i < threads; ++i) wake_elsewhere(pool.members[i]);
  take_part(pool, 0, region);
  wait_until(pool.members[0], [&] { return pool.unfinished == 0; });
}

// OMP_NUM_THREADS may be a list, for nested regions; the first number counts.
int limit_from_environment() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  const long wanted = text ? std::strtol(text, nullptr, 10) : 0;
  cpu_set_t usable;
  if (wanted > 0) return static_cast<int>(std::min<long>(wanted, kMaxThreads));
  const bool known = sched_getaffinity(0, sizeof usable, &usable) == 0;
  return known ? std::min(CPU_COUNT(&usable), kMaxThreads) : 1;
}

// The child of a fork has no threads but the one that forked, which is in no region.
void after_fork_in_child() { g_pool = new Pool; }

}  // namespace

bool make_fork_safe() {
  g_limit = limit_from_environment();
  g_pool = new Pool;
  return pthread_atfork(nullptr, nullptr, after_fork_in_child) == 0;
}

int thread_limit() { return g_limit; }
std::string threads_library() { return "own pool"; }

void run_parallel(int threads, int chunks, Body body, void* context) {
  Pool& pool = *g_pool;
  if (threads == 1 || pool.busy.exchange(true, std::memory_order_acquire)) {
    for (int chunk = 0; chunk < threads * chunks; ++chunk) body(context, chunk);
    return;
  }
  run_region(pool, threads, chunks, body, context);
  pool.busy.store(false, std::memory_order_release);
}

}  // namespace instep
