#include "check/step_scheduler.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <vector>

namespace cowherd::check {
namespace {

/// Declares one local for as long as the object lives.
class Live {
 public:
  template <class T>
  Live(Scheduler& scheduler, const char* name, const T& local)
      : context_(scheduler.agent()),
        local_{&local, sizeof local},
        scope_{context_.live, hash_of_name(name), 1, &local_} {
    context_.live = &scope_;
  }
  ~Live() { context_.live = scope_.outer; }
  Live(const Live&) = delete;
  Live& operator=(const Live&) = delete;

 private:
  AgentContext& context_;
  LiveScope::Local local_;
  LiveScope scope_;
};

/// A kernel of a few words: what agents share, and what each runs.
struct Toy {
  struct Shared {
    std::uint32_t counter = 0;
    bool locked[2] = {};
    std::uint32_t failed = 0;
  };

  StepScheduler scheduler;
  Shared shared;
  std::vector<std::function<void(Toy&)>> bodies;
  std::vector<bool> done;

  void lock(int which) {
    (void)scheduler.suspend(
        Point::kPageLock, [](const void* locked) { return *static_cast<const bool*>(locked) ? 0u : 1u; },
        &shared.locked[which]);
    shared.locked[which] = true;
  }
  void unlock(int which) { shared.locked[which] = false; }
  void increment() {
    scheduler.point(Point::kReadCounts);
    const std::uint32_t before = shared.counter;
    const Live live(scheduler, "increment", before);
    scheduler.point(Point::kTakeReference);
    shared.counter = before + 1;
  }

  static void body(void* self) {
    auto& toy = *static_cast<Toy*>(self);
    toy.bodies[toy.scheduler.running()](toy);
  }
};

/// Every interleaving, each state once.
class ToySearch {
 public:
  explicit ToySearch(Toy& toy, bool raw = false) : toy_(toy) {
    const Vpn pages[] = {Vpn{3}, Vpn{5}};
    toy.shared = {};
    toy.done.assign(toy.bodies.size(), false);
    toy.scheduler.begin(toy.bodies.size(), pages, raw);
    visit();
  }

  std::set<std::uint32_t> counters;
  std::set<std::uint32_t> failures;
  std::size_t deadlocks = 0;
  std::size_t states = 0;

 private:
  struct Saved {
    Toy::Shared shared;
    std::vector<bool> done;
    std::vector<std::byte> state;
    std::vector<std::byte> stacks;
  };
  Saved save() {
    Saved saved{toy_.shared, toy_.done, {}, {}};
    saved.state.resize(toy_.scheduler.state_bytes());
    saved.stacks.resize(toy_.scheduler.stack_numbers_bytes());
    toy_.scheduler.save_state(saved.state.data());
    toy_.scheduler.save_stacks(saved.stacks.data());
    return saved;
  }
  void restore(const Saved& saved) {
    toy_.shared = saved.shared;
    toy_.done = saved.done;
    toy_.scheduler.restore(saved.state.data(), saved.stacks.data());
  }
  void visit() {
    const Saved here = save();
    std::vector<std::byte> key(sizeof here.shared);
    std::memcpy(key.data(), &here.shared, sizeof here.shared);
    key.insert(key.end(), here.state.begin(), here.state.end());
    for (const bool done : here.done) key.push_back(std::byte{done});
    if (!seen_.insert(key).second) return;
    ++states;
    bool went_on = false;
    for (std::size_t agent = 0; agent < toy_.bodies.size(); ++agent) {
      if (here.done[agent]) continue;
      const unsigned ways = toy_.scheduler.inside(agent) ? toy_.scheduler.ways(agent) : 1;
      for (unsigned choice = 0; choice < ways; ++choice) {
        const auto stop = toy_.scheduler.inside(agent) ? toy_.scheduler.resume(agent, choice)
                                                       : toy_.scheduler.start(agent, &Toy::body, &toy_);
        toy_.done[agent] = stop == StepScheduler::Stop::kCompleted;
        if (stop != StepScheduler::Stop::kHasToWait) {
          went_on = true;
          visit();
        }
        restore(here);
      }
    }
    if (went_on) return;
    if (std::find(here.done.begin(), here.done.end(), false) != here.done.end()) {
      ++deadlocks;
    } else {
      counters.insert(here.shared.counter);
      failures.insert(here.shared.failed);
    }
  }

  Toy& toy_;
  std::set<std::vector<std::byte>> seen_;
};

class Steps : public testing::Test {
 protected:
  void SetUp() override {
    if (!kFibersWork) GTEST_SKIP() << "ThreadSanitizer's shadow of a stack does not follow a restored one";
  }
};

TEST_F(Steps, ALostUpdateIsFound) {
  Toy toy;
  toy.bodies.assign(2, [](Toy& t) { t.increment(); });
  const ToySearch search(toy);
  EXPECT_EQ(search.counters, (std::set<std::uint32_t>{1, 2}));
  EXPECT_EQ(search.deadlocks, 0u);
  // Three increments that nobody orders; more of the same end in the same ways.
  toy.bodies.assign(3, [](Toy& t) { t.increment(); });
  EXPECT_EQ(ToySearch(toy).counters, (std::set<std::uint32_t>{1, 2, 3}));
}

TEST_F(Steps, ALockPreventsIt) {
  Toy toy;
  toy.bodies.assign(3, [](Toy& t) {
    t.lock(0);
    t.increment();
    t.unlock(0);
  });
  const ToySearch search(toy);
  EXPECT_EQ(search.counters, (std::set<std::uint32_t>{3}));
  EXPECT_EQ(search.deadlocks, 0u);
}

TEST_F(Steps, LocksInTheWrongOrderDeadlock) {
  Toy toy;
  const auto both = [](Toy& t, int first, int second) {
    t.lock(first);
    t.lock(second);
    t.increment();
    t.unlock(second);
    t.unlock(first);
  };
  toy.bodies = {[&](Toy& t) { both(t, 0, 1); }, [&](Toy& t) { both(t, 1, 0); }};
  const ToySearch search(toy);
  EXPECT_EQ(search.deadlocks, 1u);
  EXPECT_EQ(search.counters, (std::set<std::uint32_t>{2}));
}

TEST_F(Steps, EveryMoveIsTaken) {
  Toy toy;
  toy.bodies.assign(2, [](Toy& t) {
    t.increment();
    const unsigned choice = t.scheduler.suspend(
        Point::kAllocate, [](const void*) { return 2u; }, nullptr);
    t.shared.failed += choice;
  });
  EXPECT_EQ(ToySearch(toy).failures, (std::set<std::uint32_t>{0, 1, 2}));
}

/// Telling states apart by the bytes of stacks may see more states, and must not see other ends.
TEST_F(Steps, DeclaredLocalsAreEnough) {
  Toy toy;
  toy.bodies.assign(3, [](Toy& t) {
    t.increment();
    t.increment();
  });
  const ToySearch declared(toy);
  const ToySearch raw(toy, true);
  EXPECT_EQ(declared.counters, raw.counters);
  EXPECT_LE(declared.states, raw.states);
  EXPECT_GT(declared.states, 100u);
}

/// The same without the declaration: two states that will go on differently are taken for one.
TEST_F(Steps, WhatIsNotDeclaredIsMissed) {
  Toy toy;
  const auto forgetful = [](Toy& t, std::uint32_t add) {
    t.scheduler.point(Point::kReadCounts);
    const std::uint32_t before = t.shared.counter;
    t.scheduler.point(Point::kTakeReference);
    t.shared.counter = 0;
    t.scheduler.point(Point::kTakeReference);
    t.shared.counter = before + add;
  };
  toy.bodies = {[&](Toy& t) { forgetful(t, 1); }, [&](Toy& t) { forgetful(t, 10); },
                [&](Toy& t) { forgetful(t, 100); }};
  EXPECT_LT(ToySearch(toy).counters.size(), ToySearch(toy, true).counters.size());
}

TEST_F(Steps, TranslationsAreTheCpusOwn) {
  Toy toy;
  toy.bodies.assign(2, [](Toy& t) {
    Scheduler& scheduler = t.scheduler;
    EXPECT_EQ(scheduler.cached_translation(7, Vpn{3}), 0u);
    scheduler.cache_translation(7, Vpn{3}, 0x11);
    scheduler.cache_translation(7, Vpn{5}, 0x22);
    scheduler.cache_translation(7, Vpn{9}, 0x33);
    EXPECT_EQ(scheduler.cached_translation(7, Vpn{3}), 0x11u);
    EXPECT_EQ(scheduler.cached_translation(8, Vpn{3}), 0u);
    EXPECT_EQ(scheduler.cached_translation(7, Vpn{9}), 0u) << "no page of the test";
    scheduler.point(Point::kFlush);
    scheduler.point(Point::kFlush);
    if (t.scheduler.running() == 0) {
      scheduler.forget_translations(7, {Vpn{0}, Vpn{4}});
      scheduler.forget_own_translation(7, Vpn{5});
    }
  });
  const Vpn pages[] = {Vpn{3}, Vpn{5}};
  toy.scheduler.begin(2, pages, false);
  const auto run = [&](std::size_t agent) {
    toy.scheduler.start(agent, &Toy::body, &toy);
    while (toy.scheduler.inside(agent)) toy.scheduler.resume(agent, 0);
  };
  std::vector<std::byte> clean(toy.scheduler.state_bytes());
  toy.scheduler.save_state(clean.data());
  run(1);
  std::vector<std::byte> cached(toy.scheduler.state_bytes());
  toy.scheduler.save_state(cached.data());
  EXPECT_NE(cached, clean);
  run(0);
  // Agent 0 made everybody forget the first page, and only itself the second.
  toy.scheduler.keep_translations(1, 0b01);
  std::vector<std::byte> left(toy.scheduler.state_bytes());
  toy.scheduler.save_state(left.data());
  EXPECT_EQ(left, clean);
}

TEST_F(Steps, AnAgentThatCannotBeginHasToWait) {
  Toy toy;
  toy.bodies = {[](Toy& t) { t.lock(0); }};
  toy.scheduler.begin(1, {}, false);
  toy.shared.locked[0] = true;
  EXPECT_EQ(toy.scheduler.start(0, &Toy::body, &toy), StepScheduler::Stop::kHasToWait);
  toy.shared.locked[0] = false;
  toy.scheduler.begin(1, {}, false);
  EXPECT_EQ(toy.scheduler.start(0, &Toy::body, &toy), StepScheduler::Stop::kCompleted);
}

}  // namespace
}  // namespace cowherd::check
