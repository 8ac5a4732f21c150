#include "measure/engine_memory.hpp"

#include <sys/mman.h>

#include <cstdint>

namespace cowherd::measure {
namespace {

constexpr std::size_t kHuge = std::size_t{2} << 20;

/// A mapping that begins at a huge page.
class Arena {
 public:
  explicit Arena(std::size_t bytes) : bytes_((bytes + kHuge - 1) / kHuge * kHuge) {
    void* mapped =
        ::mmap(nullptr, bytes_ + kHuge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) return;
    mapped_ = mapped;
    const auto address = reinterpret_cast<std::uintptr_t>(mapped);
    begin_ = static_cast<std::byte*>(mapped) + (kHuge - address % kHuge) % kHuge;
    ::madvise(begin_, bytes_, MADV_HUGEPAGE);
    ::madvise(mapped, bytes_ + kHuge, MADV_DONTFORK);
    for (std::size_t at = 0; at < bytes_; at += 4096) *const_cast<volatile std::byte*>(begin_ + at) = std::byte{1};
  }
  ~Arena() {
    if (mapped_ != nullptr) ::munmap(mapped_, bytes_ + kHuge);
  }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  [[nodiscard]] std::span<std::byte> all() const {
    return mapped_ == nullptr ? std::span<std::byte>() : std::span(begin_, bytes_);
  }

 private:
  std::size_t bytes_;
  void* mapped_ = nullptr;
  std::byte* begin_ = nullptr;
};

}  // namespace

std::span<std::byte> engine_memory(std::size_t bytes) {
  // Never destroyed: nothing may depend on when the program's other statics go.
  static Arena* arena = nullptr;
  if (arena == nullptr || arena->all().size() < bytes) {
    delete arena;
    arena = new Arena(bytes);
  }
  const std::span<std::byte> all = arena->all();
  return all.size() < bytes ? std::span<std::byte>() : all.first((bytes + 4095) / 4096 * 4096);
}

}  // namespace cowherd::measure
