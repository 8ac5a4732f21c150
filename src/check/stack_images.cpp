#include "check/stack_images.hpp"

#include <algorithm>
#include <cstring>

#include "check/hash.hpp"

namespace cowherd::check {

void StackImages::clear() {
  known_.clear();
  images_.clear();
  slabs_.clear();
  next_ = nullptr;
  left_ = 0;
  reserved_ = 0;
}

StackImages::Number StackImages::intern(std::span<const std::byte> bytes) {
  const auto [number, is_new] = known_.insert(hash_of(bytes), static_cast<Number>(images_.size()));
  if (!is_new) return number;
  if (bytes.size() > left_) {
    left_ = std::max(kSlab, bytes.size());
    slabs_.push_back(std::make_unique_for_overwrite<std::byte[]>(left_));
    next_ = slabs_.back().get();
    reserved_ += left_;
  }
  std::memcpy(next_, bytes.data(), bytes.size());
  images_.emplace_back(next_, bytes.size());
  next_ += bytes.size();
  left_ -= bytes.size();
  return number;
}

}  // namespace cowherd::check
