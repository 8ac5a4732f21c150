#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "base/geometry.hpp"
#include "mm/operations.hpp"

namespace cowherd::mm {

// Private memory as it should look, without frames, tables or sharing: for tests that let operations run at random.

/// What one page of one address space holds. A pin holds it too: it stays the owner's page until the owner drops it.
template <class G>
using ModelBytes = std::array<std::byte, Geometry<G>::kPageBytes>;

template <class G>
struct ModelPage {
  bool mapped = false;
  Protection protection = Protection::kNone;
  bool dont_fork = false;
  bool wipe_on_fork = false;
  std::shared_ptr<ModelBytes<G>> bytes;
};

template <class G>
class ModelSpace {
 public:
  static constexpr std::size_t kPageBytes = Geometry<G>::kPageBytes;

  explicit ModelSpace(std::size_t pages) : pages_(pages) {}

  ModelPage<G>& page(std::uint64_t at) { return pages_[at]; }
  [[nodiscard]] std::size_t size() const { return pages_.size(); }
  [[nodiscard]] bool hole_in(std::uint64_t first, std::uint64_t count) const {
    return std::any_of(pages_.begin() + static_cast<std::ptrdiff_t>(first),
                       pages_.begin() + static_cast<std::ptrdiff_t>(first + count),
                       [](const ModelPage<G>& page) { return !page.mapped; });
  }

  void map(std::uint64_t first, std::uint64_t count, Protection protection) {
    for (std::uint64_t at = first; at < first + count; ++at) {
      pages_[at] = {.mapped = true, .protection = protection, .bytes = fresh()};
    }
  }
  void unmap(std::uint64_t first, std::uint64_t count) {
    for (std::uint64_t at = first; at < first + count; ++at) {
      pages_[at] = {};
    }
  }
  /// Up to the first hole.
  void protect(std::uint64_t first, std::uint64_t count, Protection protection) {
    for (std::uint64_t at = first; at < first + count && pages_[at].mapped; ++at) {
      pages_[at].protection = protection;
    }
  }
  /// What is mapped in [first, first + kept) goes to `to`; then `count` pages there are mapped, and what was left of
  /// `old_count` is not.
  void remap(std::uint64_t first, std::uint64_t old_count, std::uint64_t to, std::uint64_t count, bool leave) {
    const std::uint64_t kept = std::min(old_count, count);
    for (std::uint64_t at = 0; at < kept && first != to; ++at) {
      pages_[to + at] = pages_[first + at];
      ModelPage<G>& left = pages_[first + at];
      if (leave && left.mapped) {
        left.bytes = fresh();
      } else {
        left = {};
      }
    }
    for (std::uint64_t at = kept; at < count; ++at) {
      pages_[to + at] = pages_[to + kept - 1];
      pages_[to + at].bytes = fresh();
    }
    unmap(first + kept, old_count - kept);
  }
  /// Over holes.
  void advise(std::uint64_t first, std::uint64_t count, Advice advice) {
    for (std::uint64_t at = first; at < first + count; ++at) {
      ModelPage<G>& page = pages_[at];
      if (!page.mapped) {
        continue;
      }
      switch (advice) {
        case Advice::kDontNeed:
          page.bytes = fresh();
          break;
        case Advice::kDontFork:
        case Advice::kDoFork:
          page.dont_fork = advice == Advice::kDontFork;
          break;
        case Advice::kWipeOnFork:
        case Advice::kKeepOnFork:
          page.wipe_on_fork = advice == Advice::kWipeOnFork;
          break;
        case Advice::kPopulateRead:
        case Advice::kPopulateWrite:
        case Advice::kLock:
        case Advice::kUnlock:
        case Advice::kSync:
        case Advice::kMergeable:
        case Advice::kUnmergeable:
        case Advice::kCold:
        case Advice::kPageOut:
        case Advice::kFree:
        case Advice::kRemove:
        case Advice::kHugePage:
        case Advice::kNoHugePage:
        case Advice::kCollapse:
          break;
      }
    }
  }
  [[nodiscard]] std::shared_ptr<ModelSpace> forked() const {
    auto child = std::make_shared<ModelSpace>(pages_.size());
    for (std::size_t at = 0; at < pages_.size(); ++at) {
      const ModelPage<G>& page = pages_[at];
      if (page.mapped && !page.dont_fork) {
        child->pages_[at] = page;
        child->pages_[at].bytes = page.wipe_on_fork ? fresh() : std::make_shared<ModelBytes<G>>(*page.bytes);
      }
    }
    return child;
  }

  /// How far an access of a thread (or, where `force`, of a debugger) comes, in bytes.
  [[nodiscard]] std::size_t reach(std::uint64_t address, std::size_t size, bool write, bool force) const {
    std::size_t done = 0;
    while (done < size) {
      const std::uint64_t at = (address + done) / kPageBytes;
      if (at >= pages_.size() || !pages_[at].mapped) {
        break;
      }
      const Protection protection = pages_[at].protection;
      if (!force && (write ? !has(protection, Protection::kWrite) : protection == Protection::kNone)) {
        break;
      }
      done = std::min(size, static_cast<std::size_t>((at + 1) * kPageBytes - address));
    }
    return done;
  }
  std::byte& byte(std::uint64_t address) { return (*pages_[address / kPageBytes].bytes)[address % kPageBytes]; }

 private:
  static std::shared_ptr<ModelBytes<G>> fresh() { return std::make_shared<ModelBytes<G>>(); }

  std::vector<ModelPage<G>> pages_;
};

/// A pin as it should look.
template <class G>
struct ModelPin {
  struct Held {
    std::shared_ptr<ModelBytes<G>> bytes;
    /// Whether the rules promise that it stays the owner's page.
    bool coherent;
  };
  bool write = false;
  std::vector<Held> pages;
};

}  // namespace cowherd::mm
