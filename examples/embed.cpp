// A device keeps seeing its owner's memory across fork: the whole promise in one page of code.

#include <cowherd/cowherd.hpp>
#include <cstdio>
#include <cstdlib>
#include <span>

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

int main() {
  Machine machine = must(Machine::create(ByteCount{64 << 20}), "create");
  AddressSpace parent = must(machine.create_space(), "create_space");
  const Vaddr buffer = must(parent.map(ByteCount{16 * kPageBytes}), "map");
  const auto bytes = [](const int& value) { return std::as_bytes(std::span(&value, 1)); };
  const auto load = [&](auto& reader, auto where) {
    int value = 0;
    return reader.read(where, std::as_writable_bytes(std::span(&value, 1))) ? value : -1;
  };

  bool done = parent.write(buffer, bytes(1)).ok();
  Pin device = must(parent.pin(buffer, ByteCount{kPageBytes}, PinFlags::kWrite | PinFlags::kLongTerm), "pin");
  AddressSpace child = must(parent.fork(), "fork");

  done = done && parent.write(buffer, bytes(2)).ok();
  const int seen_by_device = load(device, ByteCount{0});
  done = done && device.write(ByteCount{0}, bytes(3)).ok();
  const int seen_by_parent = load(parent, buffer);
  const int seen_by_child = load(child, buffer);
  const char* broken = machine.verify();
  std::printf("device %d, parent %d, child %d, machine %s\n", seen_by_device, seen_by_parent, seen_by_child,
              broken == nullptr ? "sound" : broken);
  const bool kept = seen_by_device == 2 && seen_by_parent == 3 && seen_by_child == 1;
  return done && kept && broken == nullptr ? EXIT_SUCCESS : EXIT_FAILURE;
}
