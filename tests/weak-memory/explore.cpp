#include <pthread.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

// Runs a small C11 program in every way that its memory orders allow, as far as the model below goes. The program is
// compiled with ThreadSanitizer's calls before every access; here are the functions that these calls go to.
//
// The model: every atomic has a list of the values that were stored to it, in order. A thread knows, of each, which
// one it has come to at least; a load may give that one or any later one. A release attaches what the storing thread
// knows to the value, an acquire learns it; a read-modify-write takes the last value and carries on what was attached
// to it. Sequentially consistent accesses happen in the order in which they are taken, and of these a load never gives
// a value before the last that such an access has stored or seen. A sequentially consistent fence is in that order too:
// what its thread knows of atomics, no such access or fence after it misses, and its thread misses nothing that one
// before it has stored, seen or known. A fence that acquires learns what was attached to the values that its thread has
// loaded before; one that releases attaches what it knows to all that its thread stores after. Plain data may be
// touched only by who knows of every access that conflicts, which the order of fences alone tells nobody. A fence in
// every thread lets all of them know what any of them knows. Left out: a store that comes before one which another
// thread has taken, and a load that comes after a later store of its own thread (load buffering). So an error that it
// shows is one of C11's too (as C++20 words it); what it does not show may still be there, and is GenMC's or herd7's to
// find.
//
// Exit status: 0 no assertion fails and no plain data races, 1 one does, 3 the model cannot follow the program.

extern "C" int program_main();

namespace {

constexpr std::size_t kMaxPlaces = 48;
constexpr std::size_t kMaxThreads = 4;
constexpr std::size_t kStackBytes = std::size_t{64} << 10;
constexpr std::uint64_t kMostRuns = 20'000'000;

/// By number of place: how far somebody has come.
using View = std::array<unsigned, kMaxPlaces>;

void join(View& into, const View& from) {
  for (std::size_t i = 0; i < into.size(); ++i) into[i] = std::max(into[i], from[i]);
}

struct Value {
  std::uint64_t bits;
  View attached;
};

struct Place {
  std::vector<Value> values;
  /// The least that a sequentially consistent load may give.
  unsigned consistent = 0;
  bool plain = false;
};

struct Thread {
  ucontext_t context;
  std::unique_ptr<char[]> stack;
  void* (*body)(void*);
  void* argument;
  View view;
  /// What an acquire fence will learn: attached to values that were loaded without acquiring.
  View unlearned;
  /// What its last release fence knew.
  View released;
  bool finished;
  int waits_for;
};

/// One decision of a run: which of how many.
struct Choice {
  unsigned taken;
  unsigned of;
};

struct Explorer {
  std::vector<Choice> choices;
  std::size_t depth = 0;
  std::array<Thread, kMaxThreads> threads{};
  std::size_t count = 0;
  std::size_t running = 0;
  ucontext_t scheduler{};
  std::map<std::pair<const volatile void*, int>, std::size_t> numbers;
  std::array<Place, kMaxPlaces> places{};
  bool abandoned = false;
  /// Some run has a fence in every thread. Then it matters whether plain data is touched before it or after.
  bool fences = false;
  bool start_anew = false;
  std::string failure;
  std::vector<std::string> trace;
  std::uint64_t complete = 0;
  std::uint64_t ended_early = 0;
};

Explorer it;

[[noreturn]] void give_up(const char* why) {
  std::printf("cannot follow: %s\n", why);
  std::exit(3);
}

unsigned choose(unsigned of) {
  if (of == 1) return 0;
  if (it.depth == it.choices.size()) it.choices.push_back({0, of});
  if (it.choices[it.depth].of != of) give_up("the program does not do the same thing twice");
  return it.choices[it.depth++].taken;
}

Thread& self() { return it.threads[it.running]; }

void say(const char* what, std::size_t place, std::uint64_t bits) {
  char line[96];
  std::snprintf(line, sizeof line, "T%zu %s place %zu: %llu", it.running, what, place,
                static_cast<unsigned long long>(bits));
  it.trace.emplace_back(line);
}

/// The running thread goes no further in this run.
[[noreturn]] void leave() {
  it.abandoned = true;
  swapcontext(&self().context, &it.scheduler);
  std::abort();
}

[[noreturn]] void fail(std::string why) {
  it.failure = std::move(why);
  leave();
}

/// Any thread may go on here.
void yield() { swapcontext(&self().context, &it.scheduler); }

/// kind 0: the values; 1 + t: the plain reads of thread t.
std::size_t number_of(const volatile void* address, int kind) {
  const auto [known, added] = it.numbers.try_emplace({address, kind}, it.numbers.size());
  if (it.numbers.size() > kMaxPlaces) give_up("too many places");
  return known->second;
}

Place& place_of(const volatile void* address, std::size_t number, std::uint64_t initial) {
  Place& place = it.places[number];
  if (place.values.empty()) place.values.push_back({initial, View{}});
  (void)address;
  return place;
}

bool acquires(int order) { return order != __ATOMIC_RELAXED && order != __ATOMIC_RELEASE; }
bool releases(int order) { return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST; }

/// Takes value number `at`.
std::uint64_t take(Place& place, std::size_t number, unsigned at, int order) {
  Thread& thread = self();
  thread.view[number] = std::max(thread.view[number], at);
  join(acquires(order) ? thread.view : thread.unlearned, place.values[at].attached);
  if (order == __ATOMIC_SEQ_CST) place.consistent = std::max(place.consistent, at);
  return place.values[at].bits;
}

/// The least that the running thread may be given.
unsigned least(const Place& place, std::size_t number, int order) {
  return order == __ATOMIC_SEQ_CST ? std::max(self().view[number], place.consistent) : self().view[number];
}

void add(Place& place, std::size_t number, std::uint64_t bits, int order, bool carries_on) {
  Thread& thread = self();
  const auto at = static_cast<unsigned>(place.values.size());
  thread.view[number] = at;
  Value value{bits, View{}};
  if (carries_on) value.attached = place.values.back().attached;
  join(value.attached, releases(order) ? thread.view : thread.released);
  value.attached[number] = at;
  if (order == __ATOMIC_SEQ_CST) place.consistent = at;
  place.values.push_back(value);
}

std::uint64_t load(const volatile void* address, std::uint64_t initial, int order) {
  yield();
  const std::size_t number = number_of(address, 0);
  Place& place = place_of(address, number, initial);
  const unsigned from = least(place, number, order);
  const auto last = static_cast<unsigned>(place.values.size()) - 1;
  // The newest first: the plain interleavings come before the odd ones.
  const std::uint64_t bits = take(place, number, last - choose(last - from + 1), order);
  say("loads", number, bits);
  return bits;
}

void store(const volatile void* address, std::uint64_t initial, std::uint64_t bits, int order) {
  yield();
  const std::size_t number = number_of(address, 0);
  Place& place = place_of(address, number, initial);
  add(place, number, bits, order, false);
  say("stores", number, bits);
}

template <class Change>
std::uint64_t change(const volatile void* address, std::uint64_t initial, int order, Change&& wanted) {
  yield();
  const std::size_t number = number_of(address, 0);
  Place& place = place_of(address, number, initial);
  const std::uint64_t before = take(place, number, static_cast<unsigned>(place.values.size()) - 1, order);
  add(place, number, wanted(before), order, true);
  say("changes", number, wanted(before));
  return before;
}

/// Fails with any value that a load may give, but for the expected one, which only the last can have.
bool compare_exchange(const volatile void* address, std::uint64_t initial, std::uint64_t& expected,
                      std::uint64_t desired, int order, int failure) {
  yield();
  const std::size_t number = number_of(address, 0);
  Place& place = place_of(address, number, initial);
  const auto last = static_cast<unsigned>(place.values.size()) - 1;
  std::vector<unsigned> outcomes{last};
  for (unsigned at = least(place, number, failure); at < last; ++at) {
    if (place.values[at].bits != expected) outcomes.push_back(at);
  }
  const unsigned at = outcomes[choose(static_cast<unsigned>(outcomes.size()))];
  if (at == last && place.values[last].bits == expected) {
    (void)take(place, number, last, order);
    add(place, number, desired, order, true);
    say("exchanges", number, desired);
    return true;
  }
  expected = take(place, number, at, failure);
  say("does not exchange", number, expected);
  return false;
}

void fence(int order) {
  yield();
  Thread& thread = self();
  if (acquires(order)) join(thread.view, thread.unlearned);
  if (order == __ATOMIC_SEQ_CST) {
    for (std::size_t number = 0; number < kMaxPlaces; ++number) {
      Place& place = it.places[number];
      if (place.plain) continue;
      place.consistent = thread.view[number] = std::max(thread.view[number], place.consistent);
    }
  }
  if (releases(order)) thread.released = thread.view;
  char line[32];
  std::snprintf(line, sizeof line, "T%zu fence", it.running);
  it.trace.emplace_back(line);
}

/// Whether it is a local variable, which is nobody else's.
bool on_stack(const volatile void* address) {
  const auto* const place = static_cast<const volatile char*>(address);
  const char* const stack = self().stack.get();
  return place >= stack && place < stack + kStackBytes;
}

void plain(const volatile void* address, bool write) {
  if (on_stack(address)) return;
  if (it.fences) yield();
  const std::size_t number = number_of(address, 0);
  Place& place = place_of(address, number, 0);
  place.plain = true;
  const auto newest = static_cast<unsigned>(place.values.size()) - 1;
  Thread& thread = self();
  if (thread.view[number] != newest) fail("two threads touch plain data, and nothing orders them");
  for (std::size_t t = 0; t < it.count; ++t) {
    const std::size_t reads = number_of(address, 1 + static_cast<int>(t));
    Place& readers = place_of(address, reads, 0);
    readers.plain = true;
    if (write && thread.view[reads] + 1 != readers.values.size()) {
      fail("plain data is written while another thread reads it");
    }
  }
  if (write) {
    add(place, number, 0, __ATOMIC_RELAXED, false);
  } else {
    const std::size_t reads = number_of(address, 1 + static_cast<int>(it.running));
    add(place_of(address, reads, 0), reads, 0, __ATOMIC_RELAXED, false);
  }
}

void enter() {
  Thread& thread = self();
  (void)thread.body(thread.argument);
  thread.finished = true;
  swapcontext(&thread.context, &it.scheduler);
  std::abort();
}

std::size_t start(void* (*body)(void*), void* argument) {
  if (it.count == kMaxThreads) give_up("too many threads");
  Thread& thread = it.threads[it.count];
  thread.body = body;
  thread.argument = argument;
  thread.view = it.count == 0 ? View{} : self().view;
  thread.unlearned = {};
  thread.released = {};
  thread.finished = false;
  thread.waits_for = -1;
  if (!thread.stack) thread.stack = std::make_unique<char[]>(kStackBytes);
  getcontext(&thread.context);
  thread.context.uc_stack = {thread.stack.get(), 0, kStackBytes};
  thread.context.uc_link = nullptr;
  makecontext(&thread.context, enter, 0);
  return it.count++;
}

void run_once() {
  it.depth = 0;
  it.count = 0;
  it.numbers.clear();
  it.places = {};
  it.abandoned = false;
  it.trace.clear();
  it.running = 0;
  (void)start([](void*) -> void* { return program_main() == 0 ? nullptr : &it; }, nullptr);
  while (!it.abandoned) {
    std::vector<std::size_t> ready;
    for (std::size_t t = 0; t < it.count; ++t) {
      const Thread& thread = it.threads[t];
      if (thread.finished) continue;
      if (thread.waits_for < 0) {
        ready.push_back(t);
      } else if (it.threads[static_cast<std::size_t>(thread.waits_for)].finished) {
        // To come back from waiting touches nothing of others: no choice.
        ready.assign(1, t);
        break;
      }
    }
    if (ready.empty()) break;
    it.running = ready[choose(static_cast<unsigned>(ready.size()))];
    swapcontext(&it.scheduler, &self().context);
  }
  (it.abandoned ? it.ended_early : it.complete) += 1;
}

/// The next run in order; false: that was all.
bool next_run() {
  if (it.start_anew) {
    it.start_anew = false;
    it.choices.clear();
    it.complete = 0;
    it.ended_early = 0;
    return true;
  }
  while (!it.choices.empty() && it.choices.back().taken + 1 == it.choices.back().of) it.choices.pop_back();
  if (it.choices.empty()) return false;
  ++it.choices.back().taken;
  return true;
}

}  // namespace

int main() {
  do {
    run_once();
    if (!it.failure.empty()) {
      for (const std::string& line : it.trace) std::printf("  %s\n", line.c_str());
      std::printf("error: %s\n", it.failure.c_str());
      return 1;
    }
    if (it.complete + it.ended_early > kMostRuns) give_up("too many ways to run");
  } while (next_run());
  std::printf("no error: %llu ways to run, %llu that ended early\n", static_cast<unsigned long long>(it.complete),
              static_cast<unsigned long long>(it.ended_early));
  return it.complete == 0 ? 3 : 0;
}

extern "C" {

int weak_create(pthread_t* thread, const pthread_attr_t*, void* (*body)(void*), void* argument) {
  *thread = start(body, argument);
  return 0;
}
int weak_join(pthread_t thread, void**) {
  self().waits_for = static_cast<int>(thread);
  yield();
  self().waits_for = -1;
  join(self().view, it.threads[thread].view);
  return 0;
}
void weak_fence_all_threads() {
  if (!it.fences) {
    it.fences = true;
    it.start_anew = true;
    leave();
  }
  yield();
  View known{};
  for (std::size_t t = 0; t < it.count; ++t) {
    join(known, it.threads[t].view);
    join(known, it.threads[t].unlearned);
  }
  for (std::size_t t = 0; t < it.count; ++t) it.threads[t].view = it.threads[t].released = known;
  it.trace.emplace_back("fence in every thread");
}
void __VERIFIER_assume(int condition) {
  if (condition == 0) leave();
}
[[noreturn]] void weak_assert_fail(const char* assertion, const char*, unsigned line, const char*) {
  fail(std::string("line ") + std::to_string(line) + ": " + assertion);
}

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_atomic_signal_fence(int) {}
void __tsan_atomic_thread_fence(int order) { fence(order); }
void __tsan_read4(void* address) { plain(address, false); }
void __tsan_write4(void* address) { plain(address, true); }
void __tsan_read8(void* address) { plain(address, false); }
void __tsan_write8(void* address) { plain(address, true); }

#define CHANGE(bits, name, expression)                                                                         \
  std::uint##bits##_t __tsan_atomic##bits##_##name(volatile std::uint##bits##_t* a, std::uint##bits##_t value, \
                                                   int order) {                                                \
    return static_cast<std::uint##bits##_t>(                                                                   \
        change(a, *a, order, [value](std::uint64_t before) -> std::uint64_t { return expression; }));          \
  }
#define ATOMIC(bits)                                                                                                \
  std::uint##bits##_t __tsan_atomic##bits##_load(const volatile std::uint##bits##_t* a, int order) {                \
    return static_cast<std::uint##bits##_t>(load(a, *a, order));                                                    \
  }                                                                                                                 \
  void __tsan_atomic##bits##_store(volatile std::uint##bits##_t* a, std::uint##bits##_t value, int order) {         \
    store(a, *a, value, order);                                                                                     \
  }                                                                                                                 \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile std::uint##bits##_t* a, std::uint##bits##_t* expected, \
                                                    std::uint##bits##_t desired, int order, int failure) {          \
    std::uint64_t seen = *expected;                                                                                 \
    const bool done = compare_exchange(a, *a, seen, desired, order, failure);                                       \
    *expected = static_cast<std::uint##bits##_t>(seen);                                                             \
    return done ? 1 : 0;                                                                                            \
  }                                                                                                                 \
  CHANGE(bits, exchange, (static_cast<void>(before), value))                                                        \
  CHANGE(bits, fetch_add, static_cast<std::uint##bits##_t>(before + value))                                         \
  CHANGE(bits, fetch_sub, static_cast<std::uint##bits##_t>(before - value))                                         \
  CHANGE(bits, fetch_and, before& value)                                                                            \
  CHANGE(bits, fetch_or, before | value)
ATOMIC(8)
ATOMIC(32)
ATOMIC(64)

}  // extern "C"
