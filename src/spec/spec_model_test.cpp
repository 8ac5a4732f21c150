#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "spec/spec.hpp"

namespace cowherd::spec {
namespace {

// The same semantics once more, with objects on the heap, written to be plainly right and nothing else. Random programs
// run on both; which values are allowed, and which results, must agree at each step.

struct Object {
  std::array<std::int64_t, kWordsPerPage> words{};
};

struct Mapping {
  std::shared_ptr<Object> object;
  Protection protection = Protection::kNone;
  bool dont_fork = false;
  bool wipe_on_fork = false;
};

using Memory = std::map<int, Mapping>;

struct Holder {
  std::vector<std::shared_ptr<Object>> pages;
  PinFlags flags = PinFlags::kNone;
  /// Every value of each word since the pin was taken.
  std::vector<std::array<std::set<std::int64_t>, kWordsPerPage>> since;
};

struct Model {
  std::map<int, Memory> spaces;
  std::map<int, Holder> pins;

  void store(const std::shared_ptr<Object>& object, std::size_t word, std::int64_t value) {
    object->words[word] = value;
    for (auto& [id, pin] : pins) {
      for (std::size_t i = 0; i < pin.pages.size(); ++i) {
        if (pin.pages[i] == object) pin.since[i][word].insert(value);
      }
    }
  }
};

constexpr int kPages = 4;
constexpr std::int64_t kValues = 6;

class Race {
 public:
  explicit Race(std::uint32_t seed) : random_(seed) {}

  void run(int steps) {
    create();
    for (int i = 0; i < steps && !testing::Test::HasFatalFailure(); ++i) {
      step();
      if (pick(8) == 0) {
        const std::vector<std::byte> bytes(spec_.bytes().begin(), spec_.bytes().end());
        spec_ = Spec();
        spec_.assign(bytes);
      }
    }
  }

 private:
  int pick(int n) { return static_cast<int>(random_() % static_cast<std::uint32_t>(n)); }

  template <class Map>
  int any_of(const Map& map) {
    return std::next(map.begin(), pick(static_cast<int>(map.size())))->first;
  }

  static SpaceId space_id(int space) { return SpaceId{static_cast<std::uint8_t>(space)}; }
  static SpecPinId pin_id(int pin) { return SpecPinId{static_cast<std::uint8_t>(pin)}; }

  void create() { model_.spaces[spec_.create_space().value()]; }

  void step() {
    const int kind = pick(13);
    if (model_.spaces.empty()) return create();
    const int space = any_of(model_.spaces);
    switch (kind) {
      case 0:
        return pick(4) == 0 ? lifetime(space) : fork(space);
      case 1:
        return map(space);
      case 2:
        return discard(space);
      case 3:
        return adjust(space);
      case 4:
      case 5:
      case 6:
        return write(space);
      case 7:
        return read(space);
      case 8:
        return take(space);
      case 9:
        return device_write();
      case 10:
        return device_read();
      case 11:
        return move(space);
      default:
        return let_go();
    }
  }

  void lifetime(int space) {
    if (pick(2) == 0 && model_.spaces.size() < 4) return create();
    spec_.drop_space(space_id(space));
    model_.spaces.erase(space);
  }

  void fork(int parent) {
    if (model_.spaces.size() >= 4) return;
    const int child = spec_.fork(space_id(parent)).value();
    for (const auto& [page, mapping] : model_.spaces[parent]) {
      if (mapping.dont_fork) continue;
      Mapping copy = mapping;
      copy.object = std::make_shared<Object>(mapping.wipe_on_fork ? Object{} : *mapping.object);
      model_.spaces[child][page] = copy;
    }
  }

  void map(int space) {
    const int page = pick(kPages);
    const auto protection = static_cast<Protection>(pick(4));
    const Judgement judgement =
        spec_.mmap(space_id(space), static_cast<std::uint8_t>(page), 1, protection, MapFlags::kNone, {});
    ASSERT_TRUE(judgement.ok());
    model_.spaces[space][page] = {std::make_shared<Object>(), protection};
  }

  void move(int space) {
    Memory& memory = model_.spaces[space];
    const int count = 1 + pick(2);
    const int first = pick(kPages - count + 1);
    const int to = pick(kPages - count + 1);
    const bool leave = pick(3) == 0;
    RemapFlags flags = RemapFlags::kMayMove | RemapFlags::kFixed;
    if (leave) flags = flags | RemapFlags::kDontUnmap;
    const bool overlap = to < first + count && first < to + count;
    const Errno expected = overlap ? Errno::kInvalid : memory.contains(first) ? Errno{0} : Errno::kFault;
    const Remap remap{static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(count), static_cast<std::uint8_t>(to),
                      static_cast<std::uint8_t>(count), flags};
    ASSERT_TRUE(spec_.mremap(space_id(space), remap, {.error = expected}).ok());
    for (int i = 0; i < count && expected == Errno{0}; ++i) {
      memory.erase(to + i);
      const auto at = memory.find(first + i);
      if (at == memory.end()) continue;
      memory[to + i] = at->second;
      at->second.object = std::make_shared<Object>();
      if (!leave) memory.erase(at);
    }
  }

  void discard(int space) {
    const auto first = pick(kPages);
    const auto count = 1 + pick(kPages - first);
    if (pick(2) == 0) {
      ASSERT_TRUE(
          spec_.munmap(space_id(space), static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(count), {}).ok());
      for (int page = first; page < first + count; ++page) model_.spaces[space].erase(page);
      return;
    }
    advise(space, first, count, Advice::kDontNeed);
  }

  void adjust(int space) {
    const auto first = pick(kPages);
    const auto count = 1 + pick(kPages - first);
    if (pick(2) == 0) {
      constexpr Advice kAdvices[] = {Advice::kDontFork, Advice::kDoFork, Advice::kWipeOnFork, Advice::kKeepOnFork};
      return advise(space, first, count, kAdvices[pick(4)]);
    }
    const auto protection = static_cast<Protection>(1 + pick(3));
    Errno expected{0};
    for (int page = first; page < first + count && expected == Errno{0}; ++page) {
      if (model_.spaces[space].contains(page)) {
        model_.spaces[space][page].protection = protection;
      } else {
        expected = Errno::kNoMemory;
      }
    }
    ASSERT_TRUE(spec_
                    .mprotect(space_id(space), static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(count),
                              protection, {.error = expected})
                    .ok());
  }

  void advise(int space, int first, int count, Advice advice) {
    Errno expected{0};
    for (int page = first; page < first + count; ++page) {
      if (!model_.spaces[space].contains(page)) {
        expected = Errno::kNoMemory;
        continue;
      }
      Mapping& mapping = model_.spaces[space][page];
      if (advice == Advice::kDontNeed) mapping.object = std::make_shared<Object>();
      if (advice == Advice::kDontFork || advice == Advice::kDoFork) mapping.dont_fork = advice == Advice::kDontFork;
      if (advice == Advice::kWipeOnFork || advice == Advice::kKeepOnFork) {
        mapping.wipe_on_fork = advice == Advice::kWipeOnFork;
      }
    }
    ASSERT_TRUE(spec_
                    .madvise(space_id(space), static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(count),
                             advice, {.error = expected})
                    .ok());
  }

  void write(int space) {
    const int page = pick(kPages);
    const auto word = static_cast<std::uint8_t>(pick(2));
    const std::int64_t value = pick(kValues);
    const bool force = pick(4) == 0;
    const auto at = model_.spaces[space].find(page);
    const bool mapped = at != model_.spaces[space].end();
    const bool allowed = mapped && (force || has(at->second.protection, Protection::kWrite));
    const Observation seen{.error = allowed ? Errno{0} : force ? Errno::kFault : Errno::kSigSegv};
    const auto number = static_cast<std::uint8_t>(page);
    ASSERT_TRUE((force ? spec_.force_write(space_id(space), number, word, value, seen)
                       : spec_.write(space_id(space), number, word, value, seen))
                    .ok());
    if (allowed) model_.store(at->second.object, word, value);
  }

  void read(int space) {
    for (const auto& [page, mapping] : model_.spaces[space]) {
      for (std::uint8_t word = 0; word < 2; ++word) {
        for (std::int64_t value = 0; value < kValues; ++value) {
          const bool right = mapping.object->words[word] == value;
          const Judgement judgement =
              spec_.force_read(space_id(space), static_cast<std::uint8_t>(page), word, {.value = value});
          ASSERT_EQ(judgement.ok(), right) << "page " << page << " word " << int{word} << " value " << value;
        }
      }
    }
  }

  void take(int space) {
    if (model_.pins.size() >= kMaxPins) return;
    constexpr PinFlags kKinds[] = {PinFlags::kNone, PinFlags::kGet, PinFlags::kLongTerm, PinFlags::kWrite,
                                   PinFlags::kWrite | PinFlags::kLongTerm};
    const PinFlags flags = kKinds[pick(5)] | PinFlags::kForce;
    const int first = pick(kPages);
    const int count = 1 + pick(kPages - first);
    Holder holder{.pages = {}, .flags = flags, .since = {}};
    for (int page = first; page < first + count && model_.spaces[space].contains(page); ++page) {
      holder.pages.push_back(model_.spaces[space][page].object);
      auto& since = holder.since.emplace_back();
      for (std::size_t word = 0; word < kWordsPerPage; ++word) since[word] = {holder.pages.back()->words[word]};
    }
    const Observation seen{.error = holder.pages.empty() ? Errno::kFault : Errno{0},
                           .value = static_cast<std::int64_t>(holder.pages.size())};
    SpecPinId pin;
    ASSERT_TRUE(
        spec_.pin(space_id(space), static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(count), flags, seen, pin)
            .ok());
    if (!holder.pages.empty()) model_.pins[pin.value()] = holder;
  }

  void device_write() {
    if (model_.pins.empty()) return;
    const int pin = any_of(model_.pins);
    Holder& holder = model_.pins[pin];
    const auto page = static_cast<std::uint8_t>(pick(static_cast<int>(holder.pages.size())));
    const auto word = static_cast<std::uint8_t>(pick(2));
    const std::int64_t value = pick(kValues);
    const bool allowed = has(holder.flags, PinFlags::kWrite);
    const Observation seen{.error = allowed ? Errno{0} : Errno::kPerm};
    ASSERT_TRUE(spec_.dma_write(pin_id(pin), page, word, value, seen).ok());
    if (allowed) model_.store(holder.pages[page], word, value);
  }

  void device_read() {
    for (const auto& [pin, holder] : model_.pins) {
      const bool any_since = !has(holder.flags, PinFlags::kWrite) && !has(holder.flags, PinFlags::kLongTerm);
      for (std::size_t page = 0; page < holder.pages.size(); ++page) {
        for (std::uint8_t word = 0; word < 2; ++word) {
          const std::set<std::int64_t> now{holder.pages[page]->words[word]};
          const std::set<std::int64_t>& allowed = any_since ? holder.since[page][word] : now;
          for (std::int64_t value = 0; value < kValues; ++value) {
            const Judgement judgement =
                spec_.dma_read(pin_id(pin), static_cast<std::uint8_t>(page), word, {.value = value});
            ASSERT_EQ(judgement.ok(), allowed.contains(value)) << "pin " << pin << " page " << page;
            ASSERT_EQ(judgement.allowed_count, allowed.size());
          }
        }
      }
    }
  }

  void let_go() {
    if (model_.pins.empty()) return;
    const int pin = any_of(model_.pins);
    spec_.unpin(pin_id(pin));
    model_.pins.erase(pin);
  }

  std::mt19937 random_;
  Spec spec_;
  Model model_;
};

TEST(Model, AgreesOnRandomPrograms) {
  constexpr std::uint32_t kPrograms = 400;
  for (std::uint32_t seed = 0; seed < kPrograms && !HasFatalFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Race(seed).run(150);
  }
}

}  // namespace
}  // namespace cowherd::spec
