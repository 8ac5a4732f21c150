// A snapshot fuzzer: a guest program runs over and over from one snapshot, each time with another input, until its bug
// shows. Inputs that reach new places are kept and changed further. The same seed always finds the same input.

#include <array>
#include <chrono>
#include <cowherd/cowherd.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <span>
#include <utility>
#include <vector>

using namespace cowherd;

namespace {

/// The value, or the end of the program.
template <class T>
T must(Result<T> result, const char* what) {
  if (!result) {
    std::fprintf(stderr, "fuzz: %s: %s\n", what, name_of(result.error()));
    std::exit(EXIT_FAILURE);
  }
  return std::move(*result);
}
void must(Result<void> result, const char* what) {
  if (!result) {
    std::fprintf(stderr, "fuzz: %s: %s\n", what, name_of(result.error()));
    std::exit(EXIT_FAILURE);
  }
}

/// The guest's processor: four registers, and instructions of four bytes.
enum class Op : std::uint8_t { kLoad, kStore, kAdd, kJumpUnless, kJumpIfZero, kJump, kHalt };
struct Instruction {
  Op op;
  std::uint8_t a, b, c;
};

/// A parser: "FZ!", a length, and as many bytes, which it copies to a buffer of 16. It does not look at the length.
constexpr std::uint8_t kInput = 0, kBuffer = 1, kByte = 2, kLength = 3, kEnd = 13;
constexpr std::array kProgram{
    Instruction{Op::kLoad, kByte, kInput, 0},        // 0
    Instruction{Op::kJumpUnless, kByte, 'F', kEnd},  // 1
    Instruction{Op::kLoad, kByte, kInput, 1},        // 2
    Instruction{Op::kJumpUnless, kByte, 'Z', kEnd},  // 3
    Instruction{Op::kLoad, kByte, kInput, 2},        // 4
    Instruction{Op::kJumpUnless, kByte, '!', kEnd},  // 5
    Instruction{Op::kLoad, kLength, kInput, 3},      // 6
    Instruction{Op::kJumpIfZero, kLength, 0, kEnd},  // 7
    Instruction{Op::kLoad, kByte, kInput, 4},        // 8
    Instruction{Op::kStore, kByte, kBuffer, 0},      // 9
    Instruction{Op::kAdd, kInput, 1, 0},             // 10
    Instruction{Op::kAdd, kBuffer, 1, 0},            // 11
    Instruction{Op::kJump, 7, 0xFF, 0},              // 12: and one less to go
    Instruction{Op::kHalt, 0, 0, 0},                 // 13
};

constexpr std::uint64_t kPages = 256;
constexpr std::uint64_t kBufferBytes = 16;
using Input = std::array<std::uint8_t, 8>;

struct Guest {
  Vaddr code, input, buffer;
};

/// Jumps that were taken, from and to.
using Coverage = std::set<std::pair<std::uint32_t, std::uint32_t>>;

/// Runs the guest to its end. The error of the access at which it crashed, Errno{0} if it did not.
Errno run(Accessor& memory, const Guest& guest, Coverage& coverage) {
  std::array<std::uint64_t, 4> registers{guest.input.value(), guest.buffer.value(), 0, 0};
  std::uint32_t pc = 0;
  while (true) {
    const auto fetched = memory.load<Instruction>(guest.code + ByteCount{pc * sizeof(Instruction)});
    if (!fetched) return fetched.error();
    const Instruction now = *fetched;
    std::uint32_t next = pc + 1;
    switch (now.op) {
      case Op::kLoad: {
        const auto byte = memory.load<std::uint8_t>(Vaddr{registers[now.b] + now.c});
        if (!byte) return byte.error();
        registers[now.a] = *byte;
        break;
      }
      case Op::kStore: {
        const auto stored = memory.store(Vaddr{registers[now.b] + now.c}, static_cast<std::uint8_t>(registers[now.a]));
        if (!stored) return stored.error();
        break;
      }
      case Op::kAdd:
        registers[now.a] += now.b;
        break;
      case Op::kJumpUnless:
        if (registers[now.a] != now.b) next = now.c;
        break;
      case Op::kJumpIfZero:
        if (registers[now.a] == 0) next = now.c;
        break;
      case Op::kJump:
        --registers[kLength];
        next = now.a;
        break;
      case Op::kHalt:
        return Errno{0};
    }
    if (next != pc + 1 || now.op == Op::kJumpUnless) coverage.insert({pc, next});
    pc = next;
  }
}

/// Marsaglia's xorshift, multiplied so that its bits do not depend on each other: the same numbers on every machine.
struct Random {
  std::uint64_t state;
  std::uint64_t below(std::uint64_t limit) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (state * 0x2545'F491'4F6C'DD1D >> 32) % limit;
  }
};

struct Found {
  Input input;
  std::uint64_t runs;
  std::size_t kept;
  double seconds;
};

/// Fuzzes until the guest crashes. The machine holds nothing more afterwards than before.
Found fuzz(Machine& machine, std::uint64_t seed) {
  constexpr std::uint64_t kMostRuns = 1'000'000;
  AddressSpace space = must(machine.create_space(), "create_space");
  const Vaddr base =
      must(space.map(ByteCount{kPages * kPageBytes}, Protection::kReadWrite, MapFlags::kPopulate), "map");
  const Vaddr end = base + ByteCount{kPages * kPageBytes};
  const Guest guest{base, base + ByteCount{kPageBytes}, Vaddr{end.value() - kBufferBytes}};
  must(space.write(guest.code, std::as_bytes(std::span(kProgram))), "write");
  must(space.protect(guest.code, ByteCount{kPageBytes}, Protection::kRead), "protect");
  const Snapshot snapshot = must(space.snapshot(), "snapshot");
  Accessor memory = must(space.accessor(), "accessor");

  Random random{seed};
  Coverage coverage;
  std::vector<Input> corpus{Input{}};
  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t runs = 1; runs <= kMostRuns; ++runs) {
    Input input = corpus[random.below(corpus.size())];
    const std::uint64_t place = random.below(input.size());
    input[place] = static_cast<std::uint8_t>(random.below(256));
    must(memory.write(guest.input, std::as_bytes(std::span(input))), "input");
    const std::size_t known = coverage.size();
    const Errno crashed = run(memory, guest, coverage);
    if (crashed != Errno{0}) {
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
      return {input, runs, corpus.size(), took.count()};
    }
    if (coverage.size() != known) corpus.push_back(input);
    must(space.restore(snapshot), "restore");
  }
  std::fprintf(stderr, "fuzz: no crash\n");
  std::exit(EXIT_FAILURE);
}

}  // namespace

int main() {
  Machine machine = must(Machine::create(ByteCount{16 << 20}), "create");
  const PageCount free = machine.memory_use().free;
  const Found first = fuzz(machine, 2026);
  const Found again = fuzz(machine, 2026);
  const Input& bug = first.input;
  std::printf("crash after %llu runs: \"%c%c%c\", length %u; %zu inputs kept\n",
              static_cast<unsigned long long>(first.runs), bug[0], bug[1], bug[2], bug[3], first.kept);
  std::fprintf(stderr, "%.0f runs/s\n", static_cast<double>(first.runs) / first.seconds);
  const bool same = first.input == again.input && first.runs == again.runs;
  const bool found = bug[0] == 'F' && bug[1] == 'Z' && bug[2] == '!' && bug[3] > kBufferBytes;
  const bool sound = machine.verify() == nullptr && machine.memory_use().free == free;
  return same && found && sound ? EXIT_SUCCESS : EXIT_FAILURE;
}
