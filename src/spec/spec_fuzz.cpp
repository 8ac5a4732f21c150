#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "spec/spec.hpp"

// Bytes become a program whose every answer is a guess. Whatever was guessed, what the spec itself holds must be
// allowed at each step, and a state must survive a snapshot unchanged.

namespace cowherd::spec {
namespace {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  [[nodiscard]] bool empty() const { return size_ == 0; }

  std::uint8_t below(unsigned n) {
    if (size_ == 0) return 0;
    --size_;
    return static_cast<std::uint8_t>(*data_++ % n);
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

void require(bool condition) {
  if (!condition) std::abort();
}

struct Program {
  Spec spec;
  std::vector<SpaceId> spaces;
  std::vector<SpecPinId> pins;
  Input input;

  Observation guess() {
    constexpr Errno kErrors[] = {Errno{0},         Errno{0},      Errno{0},        Errno::kSigSegv, Errno::kSigBus,
                                 Errno::kNoMemory, Errno::kFault, Errno::kInvalid, Errno::kExist,   Errno::kAgain};
    Observation seen;
    seen.error = kErrors[input.below(10)];
    seen.value = input.below(8);
    seen.short_of_memory = input.below(4) == 0;
    return seen;
  }

  void check_truth(SpaceId space) {
    for (std::uint8_t page = 0; page < kMaxPages; ++page) {
      const auto value = spec.peek(space, page, 0);
      const Observation truth{.error = value ? Errno{0} : Errno::kFault, .value = value.value_or(0)};
      require(spec.force_read(space, page, 0, truth).ok());
    }
  }

  void check_snapshot() {
    const std::vector<std::byte> before(spec.bytes().begin(), spec.bytes().end());
    spec.assign(before);
    require(std::vector<std::byte>(spec.bytes().begin(), spec.bytes().end()) == before);
  }

  void step_without_space() {
    if (spaces.size() < 8) spaces.push_back(spec.create_space());
  }

  void device_step() {
    if (pins.empty()) return;
    const std::size_t at = input.below(static_cast<unsigned>(pins.size()));
    const std::uint8_t page = input.below(kMaxPages);
    const std::uint8_t word = input.below(kWordsPerPage);
    switch (input.below(3)) {
      case 0:
        spec.dma_read(pins[at], page, word, guess());
        return;
      case 1:
        spec.dma_write(pins[at], page, word, input.below(8), guess());
        return;
      default:
        spec.unpin(pins[at]);
        pins.erase(pins.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }

  void step() {
    const std::uint8_t kind = input.below(12);
    if (spaces.empty() || kind == 0) return step_without_space();
    const std::size_t at = input.below(static_cast<unsigned>(spaces.size()));
    const SpaceId space = spaces[at];
    const std::uint8_t first = input.below(kMaxPages);
    const auto count = static_cast<std::uint8_t>(1 + input.below(static_cast<unsigned>(kMaxPages - first)));
    const std::uint8_t word = input.below(kWordsPerPage);
    switch (kind) {
      case 1:
        if (spaces.size() < 8) spaces.push_back(spec.fork(space));
        break;
      case 2:
        spec.mmap(space, first, count, static_cast<Protection>(input.below(4)), static_cast<MapFlags>(input.below(8)),
                  guess());
        break;
      case 3:
        spec.munmap(space, first, count, guess());
        break;
      case 4:
        spec.mprotect(space, first, count, static_cast<Protection>(input.below(4)), guess());
        break;
      case 5:
        spec.madvise(space, first, count, static_cast<Advice>(input.below(7)), guess());
        break;
      case 6:
        spec.write(space, first, word, input.below(8), guess());
        break;
      case 7:
        spec.force_write(space, first, word, input.below(8), guess());
        break;
      case 8:
        spec.read(space, first, word, guess());
        break;
      case 9:
        if (pins.size() < kMaxPins) {
          SpecPinId pin;
          spec.pin(space, first, count, static_cast<PinFlags>(input.below(64)), guess(), pin);
          if (pin != kNoPin) pins.push_back(pin);
        }
        break;
      case 10:
        spec.drop_space(space);
        spaces.erase(spaces.begin() + static_cast<std::ptrdiff_t>(at));
        return;
      default:
        device_step();
    }
    check_truth(space);
  }
};

}  // namespace
}  // namespace cowherd::spec

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  cowherd::spec::Program program{.spec = {}, .spaces = {}, .pins = {}, .input = {data, size}};
  while (!program.input.empty()) {
    program.step();
    program.check_snapshot();
  }
  return 0;
}
