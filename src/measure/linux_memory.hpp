#pragma once

#include <sys/resource.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace cowherd::measure::on_linux {

inline constexpr std::size_t kPage = 4096;

/// Private anonymous memory of this process, in 4 KiB pages; or in huge pages, where the kernel has some.
class Mapping {
 public:
  explicit Mapping(std::uint64_t pages, bool huge = false);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  [[nodiscard]] bool ok() const { return bytes_ != nullptr; }
  [[nodiscard]] std::uint64_t pages() const { return pages_; }
  [[nodiscard]] std::uint8_t* page(std::uint64_t number) const { return bytes_ + number * kPage; }
  /// As the compiler must not leave out.
  [[nodiscard]] volatile std::uint8_t& byte(std::uint64_t number) const { return *page(number); }

  /// First touch of every page, which gets its stamp().
  void fill(bool shuffled) const;
  /// Every page is written; those that fork has shared become the process's own again. madvise() of part `number` of
  /// `parts`; false where the kernel has no such call.
  [[nodiscard]] bool populate_write(std::uint64_t number = 0, std::uint64_t parts = 1) const;
  /// Every page that nobody has written is the zero page. False as above.
  [[nodiscard]] bool populate_read() const;
  /// Whether every kCheckEvery-th page holds its stamp.
  [[nodiscard]] bool stamped() const;

  /// munmap() by somebody else: the destructor does nothing.
  void forget() { bytes_ = nullptr; }

 private:
  std::uint8_t* bytes_;
  std::uint64_t pages_;
};

/// Page faults of this process so far that needed no disk, exception or not.
inline std::uint64_t faults() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_minflt);
}

/// Pages pinned for a device that writes: io_uring's registered buffers, the kernel's FOLL_PIN | FOLL_LONGTERM.
class RegisteredBuffers {
 public:
  RegisteredBuffers();
  ~RegisteredBuffers();
  RegisteredBuffers(const RegisteredBuffers&) = delete;
  RegisteredBuffers& operator=(const RegisteredBuffers&) = delete;

  struct Buffer {
    void* begin;
    std::size_t bytes;
  };
  /// No buffer may be larger than 1 GiB, and there are at most 16384. False: error() says why.
  [[nodiscard]] bool register_all(const std::vector<Buffer>& buffers);
  [[nodiscard]] bool unregister();

  /// Pins all of `mapping`, or the pages named.
  [[nodiscard]] bool pin_all(const Mapping& mapping);
  [[nodiscard]] bool pin_pages(const Mapping& mapping, const std::vector<std::uint64_t>& pages);

  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  int ring_;
  std::string error_;
};

/// The most buffers of one RegisteredBuffers.
inline constexpr std::uint64_t kMaxBuffers = 16384;

}  // namespace cowherd::measure::on_linux
