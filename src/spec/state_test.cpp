#include "spec/state.hpp"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "spec/spec.hpp"
#include "spec/story.hpp"

namespace cowherd::spec {
namespace {

std::vector<std::byte> bytes_after(const char* text) {
  Spec spec;
  Story story(spec);
  std::istringstream in(text);
  for (std::string line; std::getline(in, line, ';');) {
    if (line.find_first_not_of(' ') == std::string::npos) continue;
    EXPECT_EQ(story.tell(line), "ok") << line;
  }
  return {spec.bytes().begin(), spec.bytes().end()};
}

struct Pair {
  const char* name;
  const char* prefix;
  const char* one;
  const char* other;
};

std::string pair_name(const testing::TestParamInfo<Pair>& info) { return info.param.name; }

class SameState : public testing::TestWithParam<Pair> {};
class OtherState : public testing::TestWithParam<Pair> {};

TEST_P(SameState, HasSameBytes) {
  const Pair& pair = GetParam();
  EXPECT_EQ(bytes_after((std::string(pair.prefix) + pair.one).c_str()),
            bytes_after((std::string(pair.prefix) + pair.other).c_str()));
}

TEST_P(OtherState, HasOtherBytes) {
  const Pair& pair = GetParam();
  EXPECT_NE(bytes_after((std::string(pair.prefix) + pair.one).c_str()),
            bytes_after((std::string(pair.prefix) + pair.other).c_str()));
}

constexpr const char* kTwoPages = "space P; P map 0+2 rw; P write 0.0 1; P write 1.0 2;";

const Pair kSame[] = {
    {"WritesCommute", kTwoPages, "P write 0.1 3; P write 1.1 4", "P write 1.1 4; P write 0.1 3"},
    {"OverwrittenInEitherOrder", "space P; P map 0+1 rw;", "P write 0.0 1; P write 0.0 2; P write 0.0 3",
     "P write 0.0 2; P write 0.0 1; P write 0.0 3"},
    {"PinLetGo", kTwoPages, "d pin P 0+2 w = 2; d unpin", ""},
    {"PinOfDiscardedPageLetGo", kTwoPages, "d pin P 0+2 w = 2; P unmap 0+2; d unpin", "P unmap 0+2"},
    {"ShortReaderLetGo", kTwoPages, "d pin P 0+2 - = 2; P write 0.0 5; d unpin", "P write 0.0 5"},
    {"PagesDetachInEitherOrder", kTwoPages, "d pin P 0+2 w = 2; P unmap 0+1; P unmap 1+1",
     "d pin P 0+2 w = 2; P unmap 1+1; P unmap 0+1"},
    {"SlotOfAnOldDetachedPage", kTwoPages,
     "d pin P 0+1 w = 1; P advise 0+1 dontneed; e pin P 1+1 w = 1; P unmap 1+1; d unpin; d pin P 0+1 w = 1",
     "P advise 0+1 dontneed; f pin P 0+1 w = 1; e pin P 1+1 w = 1; P unmap 1+1"},
    {"ShortReaderSawTheSameSet", kTwoPages, "d pin P 0+1 - = 1; P write 0.0 7; P write 0.0 1; P write 0.0 7",
     "d pin P 0+1 - = 1; P write 0.0 7"},
    {"ShortReaderSawTheSameSetInAnotherOrder", kTwoPages,
     "d pin P 0+1 - = 1; P write 0.0 7; P write 0.0 8; P write 0.0 9",
     "d pin P 0+1 - = 1; P write 0.0 8; P write 0.0 7; P write 0.0 9"},
    {"SpaceThatWroteNothing", kTwoPages, "space Q; Q map 0+1 rw; Q drop", ""},
    {"AdviceTakenBack", kTwoPages, "P advise 0+1 dontfork; P advise 0+1 dofork", ""},
    {"FailureChangesNothing", kTwoPages, "P write 0.0 9 = SIGBUS short; P map 0+1 rw noreplace = EEXIST", ""},
    {"ReadingChangesNothing", kTwoPages, "d pin P 0+1 - = 1; d read 0.0 = 1; P read 0.0 = 1", "d pin P 0+1 - = 1"},
};

const Pair kOther[] = {
    {"Value", kTwoPages, "P write 0.0 3", "P write 0.0 4"},
    {"Word", kTwoPages, "P write 0.1 3", "P write 0.2 3"},
    {"Protection", kTwoPages, "P protect 0+1 r", ""},
    {"DontFork", kTwoPages, "P advise 0+1 dontfork", ""},
    {"WipeOnFork", kTwoPages, "P advise 0+1 wipeonfork", "P advise 0+1 dontfork"},
    {"MappedOrNot", "space P;", "P map 0+1 rw", ""},
    {"Attached", kTwoPages, "d pin P 0+1 w = 1; P map 0+1 rw; P write 0.0 1",
     "P map 0+1 rw; P write 0.0 1; d pin P 0+1 w = 1"},
    {"DetachedTogetherOrApart", "space P; P map 0+1 rw;",
     "d pin P 0+1 w = 1; e pin P 0+1 w = 1; P unmap 0+1; P map 0+1 rw",
     "d pin P 0+1 w = 1; P unmap 0+1; P map 0+1 rw; e pin P 0+1 w = 1; P unmap 0+1; P map 0+1 rw"},
    {"GetOrPin", kTwoPages, "d pin P 0+1 w = 1", "d pin P 0+1 w,get = 1"},
    {"LongOrShort", kTwoPages, "d pin P 0+1 long = 1", "d pin P 0+1 - = 1"},
    {"ShortReaderSawMore", kTwoPages, "d pin P 0+1 - = 1; P write 0.0 7", "P write 0.0 7; d pin P 0+1 - = 1"},
    {"LastWriter", kTwoPages, "d pin P 0+1 w = 1; d write 0.0 3; d unpin; P write 0.0 3",
     "d pin P 0+1 w = 1; P write 0.0 3; d write 0.0 3; d unpin"},
    {"BeforeOrAfterFork", kTwoPages, "P write 0.0 3; P fork C; P write 0.0 4; C write 0.0 5",
     "P fork C; P write 0.0 3; P write 0.0 4; C write 0.0 5"},
};

INSTANTIATE_TEST_SUITE_P(Spec, SameState, testing::ValuesIn(kSame), pair_name);
INSTANTIATE_TEST_SUITE_P(Spec, OtherState, testing::ValuesIn(kOther), pair_name);

TEST(State, IsSmall) {
  const std::vector<std::byte> bytes =
      bytes_after("space P; P map 0+2 rw; P write 0.0 1; d pin P 0+2 w = 2; P fork C; P write 0.0 2");
  EXPECT_LE(bytes.size(), 200u);
}

SpaceId create(State& state) {
  const SpaceId space = state.free_space();
  state.create(space);
  return space;
}

SpecPinId bind(State& state, SpaceId space, std::size_t count, Strength strength) {
  const SpecPinId pin = state.free_pin();
  state.bind(pin, space, 0, strength, false);
  for (std::size_t page = 0; page < count; ++page) state.extend(pin);
  return pin;
}

TEST(State, GivesOutTheLowestNumberThatNoPinRemembers) {
  State state;
  EXPECT_EQ(create(state), SpaceId{0});
  EXPECT_EQ(create(state), SpaceId{1});
  state.map(SpaceId{0}, 0, Protection::kReadWrite);
  const SpecPinId pin = bind(state, SpaceId{0}, 1, Strength::kWrite);
  EXPECT_EQ(pin, SpecPinId{0});
  state.drop(SpaceId{0});
  EXPECT_EQ(create(state), SpaceId{2});
  state.release(pin);
  EXPECT_EQ(create(state), SpaceId{0});
}

TEST(State, NumbersAreForgottenRatherThanMissing) {
  State state;
  for (std::size_t i = 0; i < kMaxPins; ++i) {
    const SpaceId space = create(state);
    state.map(space, 0, Protection::kReadWrite);
    bind(state, space, 1, Strength::kWrite);
    state.store(space, 0, 0, 7, Writer::kCpu);
    state.drop(space);
  }
  for (std::size_t i = 0; i < kMaxSpaces; ++i) {
    const SpaceId space = create(state);
    EXPECT_TRUE(state.alive(space));
    EXPECT_FALSE(state.provenance().origin(space, 7).own) << "the past of the one who had the number before";
  }
}

TEST(State, EveryPageOfEveryPinCanDetach) {
  State state;
  const SpaceId space = create(state);
  for (std::size_t round = 0; round < kMaxPins; ++round) {
    for (std::uint8_t page = 0; page < kMaxPages; ++page) {
      state.map(space, page, Protection::kReadWrite);
      state.store(space, page, 3, static_cast<std::int64_t>(100 * round + page + 1), Writer::kCpu);
    }
    bind(state, space, kMaxPages, Strength::kWrite);
  }
  state.drop(space);
  for (std::uint8_t pin = 0; pin < kMaxPins; ++pin) {
    for (std::uint8_t page = 0; page < kMaxPages; ++page) {
      EXPECT_FALSE(state.attached(SpecPinId{pin}, page));
      EXPECT_EQ(state.load(SpecPinId{pin}, page, 3), 100 * pin + page + 1);
    }
  }
}

TEST(State, StalePagesArePagesThatPinsHold) {
  State state;
  const SpaceId space = create(state);
  state.map(space, 0, Protection::kReadWrite);
  state.store(space, 0, 1, 7, Writer::kCpu);
  const SpecPinId pin = bind(state, space, 1, Strength::kWrite);
  state.keep_for(3);
  state.wipe(space, 0);
  state.keep_for(State::kNobody);
  ASSERT_EQ(state.stale().size(), 1u);
  const StalePage stale = state.stale()[0];
  EXPECT_EQ(state.load(stale, 1), 7);
  state.store(stale, 1, 8);
  EXPECT_EQ(state.load(pin, 0, 1), 8);
  EXPECT_EQ(state.find(space, 0)->words[1], 0);

  std::vector<std::byte> bytes;
  Packer out(bytes);
  state.pack(out);
  State copy;
  Unpacker in(std::span<const std::byte>(bytes).first(out.size()));
  copy.unpack(in);
  EXPECT_TRUE(in.at_end());
  ASSERT_EQ(copy.stale().size(), 1u);
  copy.store(copy.stale()[0], 1, 9);
  EXPECT_EQ(copy.load(pin, 0, 1), 9);

  state.forget(3);
  EXPECT_TRUE(state.stale().empty());
  EXPECT_EQ(state.load(pin, 0, 1), 8);
}

TEST(State, NobodyKeepsWhatIsDiscardedAtOnce) {
  State state;
  const SpaceId space = create(state);
  state.map(space, 0, Protection::kReadWrite);
  state.wipe(space, 0);
  EXPECT_TRUE(state.stale().empty());
}

TEST(State, ShortReaderForgetsNothing) {
  State state;
  const SpaceId space = create(state);
  state.map(space, 0, Protection::kReadWrite);
  const SpecPinId pin = bind(state, space, 1, Strength::kReadShort);
  constexpr std::int64_t kWrites = 1000;
  for (std::int64_t value = 1; value <= kWrites; ++value) state.store(space, 0, 0, value, Writer::kCpu);
  const std::span<const PastValue> past = state.past(pin, 0, 0);
  ASSERT_EQ(past.size(), static_cast<std::size_t>(kWrites));
  for (std::int64_t value = 0; value < kWrites; ++value) EXPECT_EQ(past[static_cast<std::size_t>(value)].value, value);
  EXPECT_TRUE(state.past(pin, 0, 1).empty());
}

}  // namespace
}  // namespace cowherd::spec
