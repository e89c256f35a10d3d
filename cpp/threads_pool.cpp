// INSTEP_THREADS=pool: our own threads. Each has a range of chunks of its own and helps the others
// when it is through, so nobody waits for a thread that comes late: only for chunks begun.
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>

#include "parallel.h"

namespace instep {
namespace {

constexpr int kMaxThreads = 256;

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

// The figures are from benchmarks/threads.py. Turns of 25 to 50 ns to wait awake: for the next of
// steps that follow one another at once, for other steps, where another library may want the core
// meanwhile, and for the end of a region. Timers, and hosts of virtual machines, take a core away
// some hundred times a second, for up to 0.2 ms: who slept then would slow three more steps.
constexpr int kPatient = 16000, kBrief = 100, kUntilEnd = 4000;
// So many turns the last chunk that a thread has is left to it: taken by another it would make both
// fetch lines from one another's caches, now and in the next step, for longer than it takes.
constexpr int kSpared = 300;
// Longer than it takes to return to a caller whose core has just been busy with waking: or who was
// woken in vain sleeps at once, and every second step wakes somebody.
constexpr microseconds kAtOnce{50};
// Waking takes ten microseconds, and dozens until the other is there: it must spare one thread so
// much for each, unless so many regions have followed one another at once.
constexpr microseconds kWorthWaking{100};
constexpr int kInARow = 2;
constexpr int kKnown = 64;  // regions

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
  std::atomic<int> spins{kPatient};
  std::mutex mutex;
  std::condition_variable wake;
};

// A region that found somebody asleep, and how long each of its chunks took.
struct Known {
  Body body = nullptr;
  int chunks = 0;
  Clock::duration each{0};
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
  Clock::time_point ended;  // the last region
  int in_a_row = 0;         // regions that found somebody asleep, at once after another
  Known known[kKnown];
  int started = 1;  // members with a thread; the first is whoever calls
  Member members[kMaxThreads];
};

Pool* g_pool = nullptr;  // never deleted: its threads live until the process ends
int g_limit = 1;

// What to claim of a range: half of what is left makes few calls, of which the last ones are small,
// so that all end together even where a core is slow.
enum class Part { half, one };

// Claims the first chunks that a thread has left; returns how many.
int claim(Member& from, uint32_t region, Part part, int& first) {
  Range range = from.range.load(std::memory_order_acquire);
  while (range.region == region && range.next < range.end) {
    first = range.next;
    const int count = part == Part::half ? (range.end - range.next + 1) / 2 : 1;
    const Range rest = {region, static_cast<uint16_t>(first + count), range.end};
    if (from.range.compare_exchange_weak(range, rest, std::memory_order_acquire)) return count;
  }
  return 0;
}

// Sleeper and waker each write first and then read what the other writes: one of them sees it.
void wake(Member& member) {
  if (!member.asleep) return;
  const std::lock_guard<std::mutex> lock(member.mutex);
  member.asleep = false;  // although it will take a while: nobody need wake it again
  member.wake.notify_one();
}

// Waits awake for a moment, then asleep, which leaves the core to a thread that was preempted.
template <class Condition>
void wait_until(Member& own, int spins, Condition holds) {
  for (; spins > 0 && !holds(); --spins) pause();
  if (holds()) return;
  std::unique_lock<std::mutex> lock(own.mutex);
  // Said anew each time: who was woken for a region that it knows would never be woken again.
  for (own.asleep = true; !holds(); own.asleep = true) own.wake.wait(lock);
  own.asleep = false;
}

// Waits for a thread at work that has one chunk left to begin.
void spare_last(const Member& from, uint32_t region) {
  const auto one_left = [&] {
    const Range range = from.range.load(std::memory_order_relaxed);
    return range.region == region && range.end - range.next == 1;
  };
  for (int spins = kSpared; spins > 0 && !from.asleep && one_left(); --spins) pause();
}

// Returns how many chunks it did.
int take_part(Pool& pool, int self, uint32_t region) {
  const int threads = pool.threads.load(std::memory_order_relaxed);
  int first, done = 0;
  for (int i = 0; i < threads; ++i) {
    Member& from = pool.members[(self + i) % threads];
    if (i > 0) spare_last(from, region);
    while (const int count = claim(from, region, Part::half, first)) {
      pool.body(pool.context, first, first + count);
      done += count;
    }
  }
  // Once for all of them: the counter's cache line is another thread's each time.
  if (done > 0 && pool.unfinished.fetch_sub(done) == done) wake(pool.members[0]);
  return done;
}

void* work(void* member) {
  Pool& pool = *g_pool;
  Member& own = *static_cast<Member*>(member);
  for (uint32_t region = 0;;) {
    wait_until(own, own.spins, [&] { return own.range.load().region != region; });
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
  if (sched_getaffinity(0, sizeof usable, &usable) != 0) return wake(member);
  cpu_set_t elsewhere = usable;
  CPU_CLR(sched_getcpu(), &elsewhere);
  pthread_setaffinity_np(member.thread, sizeof elsewhere, &elsewhere);
  wake(member);
  pthread_setaffinity_np(member.thread, sizeof usable, &usable);
}

bool anyone_asleep(const Pool& pool, int threads) {
  const auto asleep = [](const Member& m) { return m.asleep.load(); };
  return std::any_of(pool.members + 1, pool.members + threads, asleep);
}

Known& known_of(Pool& pool, int chunks) {
  return pool.known[(reinterpret_cast<uintptr_t>(pool.body) / 16 + chunks) % kKnown];
}

Clock::duration time_of_one(Pool& pool, uint32_t region) {
  int chunk;
  const Clock::time_point start = Clock::now();
  if (claim(pool.members[0], region, Part::one, chunk) == 0) return {};
  pool.body(pool.context, chunk, chunk + 1);
  pool.unfinished.fetch_sub(1);
  return Clock::now() - start;
}

// How many threads are as much work as is worth it. What the region took before tells; of a new one
// its first chunk, in which there may be nothing.
int64_t worth_waking(Pool& pool, uint32_t region, int chunks) {
  const Known& known = known_of(pool, chunks);
  const bool again = known.body == pool.body && known.chunks == chunks;
  return (again ? known.each : time_of_one(pool, region)) * (chunks - 1) / kWorthWaking;
}

void wake_sleepers(Pool& pool, uint32_t region, int threads, int chunks) {
  const bool at_once = Clock::now() - pool.ended < kAtOnce;
  pool.in_a_row = at_once ? pool.in_a_row + 1 : 0;
  const bool all = pool.in_a_row >= kInARow;
  int64_t left = all ? threads : worth_waking(pool, region, chunks);
  for (int i = 1; i < threads && left > 0; ++i) {
    Member& member = pool.members[i];
    if (!member.asleep) continue;
    member.spins = at_once ? kPatient : kBrief;
    wake_elsewhere(member);
    --left;
  }
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
  const bool sleepers = anyone_asleep(pool, threads);
  if (sleepers) wake_sleepers(pool, region, threads, threads * chunks);
  const Clock::time_point start = sleepers ? Clock::now() : pool.ended;
  const int done = take_part(pool, 0, region);
  wait_until(pool.members[0], kUntilEnd, [&] { return pool.unfinished == 0; });
  pool.ended = Clock::now();
  if (sleepers && done > 0) {
    known_of(pool, threads * chunks) = {body, threads * chunks, (pool.ended - start) / done};
  }
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
    return body(context, 0, threads * chunks);
  }
  run_region(pool, threads, chunks, body, context);
  pool.busy.store(false, std::memory_order_release);
}

}  // namespace instep
