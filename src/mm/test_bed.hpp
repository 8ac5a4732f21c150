#pragma once

#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "mm/operations.hpp"

namespace cowherd::mm {

/// A machine of `frames` frames that a benchmark owns. Ends the program where memory is short: nothing could be timed.
template <class G>
class Bed {
 public:
  explicit Bed(std::size_t frames) : memory_(allocate(frames)), system_(format(memory_.get(), frames)) {}

  System<G>& operator*() { return system_; }

  static Vaddr at(std::uint64_t page) { return Geometry<G>::address_of(Vpn{page}); }
  static ByteCount length(std::uint64_t pages) { return ByteCount{pages * Geometry<G>::kPageBytes}; }

  ProcessId spawn() { return must(mm::spawn(system_)); }
  void map(ProcessId process, std::uint64_t page, std::uint64_t pages, MapFlags flags = MapFlags::kFixed) {
    must(mmap(system_, process, at(page), length(pages), Protection::kReadWrite, flags));
  }
  void put(ProcessId process, std::uint64_t page) {
    const std::byte one{1};
    if (write(system_, process, at(page), {&one, 1}).done != ByteCount{1}) std::abort();
  }

  static void must(Result<void> result) {
    if (!result) std::abort();
  }
  template <class T>
  static T must(Result<T> result) {
    if (!result) {
      std::abort();
    }
    return *std::move(result);
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }  // NOLINT(cppcoreguidelines-no-malloc)
  };
  static constexpr std::size_t kHugePage = std::size_t{2} << 20;
  static std::byte* allocate(std::size_t frames) {
    const std::size_t size = (bytes(frames) + kHugePage - 1) / kHugePage * kHugePage;
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(kHugePage, size));
    ::madvise(memory, size, MADV_HUGEPAGE);
    return memory;
  }
  static std::size_t bytes(std::size_t frames) { return System<G>::footprint(PageCount{frames}); }
  static System<G> format(std::byte* memory, std::size_t frames) {
    // Touched here, so that no host page fault is timed.
    std::memset(memory, 0, bytes(frames));
    System<G>::format(memory, PageCount{frames}, kCowherdRules);
    return System<G>(memory);
  }

  std::unique_ptr<std::byte, Free> memory_;
  System<G> system_;
};

}  // namespace cowherd::mm
