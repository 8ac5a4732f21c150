// A device keeps seeing its owner's memory across fork: the whole promise in one page of code.

#include <cowherd/cowherd.hpp>
#include <cstdio>
#include <cstdlib>
#include <span>

namespace {

using namespace cowherd;

/// The value, or the end of the program.
template <class T>
T must(Result<T> result, const char* what) {
  if (!result) {
    std::fprintf(stderr, "embed: %s: %s\n", what, name_of(result.error()));
    std::exit(EXIT_FAILURE);
  }
  return std::move(*result);
}

template <class Reader>
int load(Reader&& reader, auto where) {
  int value = 0;
  return reader.read(where, std::as_writable_bytes(std::span(&value, 1))) ? value : -1;
}

}  // namespace

int main() {
  Machine machine = must(Machine::create(ByteCount{64 << 20}), "create");
  AddressSpace parent = must(machine.create_space(), "create_space");
  const Vaddr buffer = must(parent.map(ByteCount{16 * kPageBytes}), "map");

  const auto store = [&](AddressSpace& space, int value) {
    return space.write(buffer, std::as_bytes(std::span(&value, 1))).ok();
  };
  store(parent, 1);
  Pin device = must(parent.pin(buffer, ByteCount{kPageBytes}, PinFlags::kWrite | PinFlags::kLongTerm), "pin");
  AddressSpace child = must(parent.fork(), "fork");

  store(parent, 2);
  const int seen_by_device = load(device, ByteCount{0});
  const int dma = 3;
  if (!device.write(ByteCount{0}, std::as_bytes(std::span(&dma, 1)))) {
    return EXIT_FAILURE;
  }
  const int seen_by_parent = load(parent, buffer);
  const int seen_by_child = load(child, buffer);
  const char* broken = machine.verify();
  std::printf("device %d, parent %d, child %d, machine %s\n", seen_by_device, seen_by_parent, seen_by_child,
              broken == nullptr ? "sound" : broken);
  return seen_by_device == 2 && seen_by_parent == 3 && seen_by_child == 1 && broken == nullptr ? EXIT_SUCCESS
                                                                                               : EXIT_FAILURE;
}
