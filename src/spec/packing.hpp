#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

namespace cowherd::spec {

/// Writes plain values one after the other, without padding, into a buffer that only ever grows.
class Packer {
 public:
  explicit Packer(std::vector<std::byte>& buffer) : buffer_(buffer) {}

  template <class T>
  void put(T value) {
    static_assert(std::is_integral_v<T> || std::is_enum_v<T>, "a struct may have padding");
    if (buffer_.size() - size_ < sizeof value) buffer_.resize(2 * buffer_.size() + sizeof value);
    std::memcpy(buffer_.data() + size_, &value, sizeof value);
    size_ += sizeof value;
  }

  void put_bytes(std::span<const std::byte> bytes) {
    if (buffer_.size() - size_ < bytes.size()) buffer_.resize(2 * buffer_.size() + bytes.size());
    std::copy(bytes.begin(), bytes.end(), buffer_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += bytes.size();
  }

  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::vector<std::byte>& buffer_;
  std::size_t size_ = 0;
};

/// Reads what a Packer wrote, in the same order. Precondition of each get: so much is left.
class Unpacker {
 public:
  explicit Unpacker(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <class T>
  T get() {
    static_assert(std::is_integral_v<T> || std::is_enum_v<T>);
    assert(bytes_.size() - at_ >= sizeof(T));
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }

  std::span<const std::byte> get_bytes(std::size_t count) {
    assert(left() >= count);
    const std::span<const std::byte> bytes = bytes_.subspan(at_, count);
    at_ += count;
    return bytes;
  }

  [[nodiscard]] bool at_end() const { return at_ == bytes_.size(); }
  [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }

 private:
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
};

}  // namespace cowherd::spec
