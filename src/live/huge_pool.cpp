#include "live/huge_pool.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "live/host.hpp"
#include "live/layout.hpp"
#include "live/spelling.hpp"

namespace cowherd::live {
namespace {

constexpr const char* kFolder = "/sys/kernel/mm/hugepages/hugepages-2048kB/";
constexpr const char* kNone = "no free huge pages";

std::optional<std::int64_t> number_in(const char* name) {
  std::ifstream file(std::string(kFolder) + name);
  std::int64_t number = 0;
  return file >> number ? std::optional(number) : std::nullopt;
}

}  // namespace

std::string HugePool::open(Keeper& keeper, std::uint32_t pages, bool exact) {
  const std::string size = std::string(kFolder) + "nr_hugepages";
  const auto all = number_in("nr_hugepages");
  const auto free = number_in("free_hugepages");
  const auto reserved = number_in("resv_hugepages");
  if (!all || !free || !reserved) return "no pool of huge pages of 2 MiB in this kernel";
  const std::int64_t usable = *free - *reserved;
  pages_ = pages;
  promised_to_others_ = *reserved;
  const bool enough = exact ? usable == pages : usable >= pages;
  if (enough) {
    pages_ = static_cast<std::uint32_t>(usable);
    return {};
  }
  if (!locked_) {
    if (::access(size.c_str(), W_OK) != 0) return fmt::format("{}: {} and {} are needed", kNone, usable, pages);
    if (std::string problem = keeper.lock(size.c_str()); !problem.empty()) return problem;
    // No page beyond the pool, whoever would like one.
    const std::string surplus = std::string(kFolder) + "nr_overcommit_hugepages";
    if (std::string problem = keeper.set(surplus, "0"); !problem.empty()) return problem;
    if (std::string problem = keeper.hold(size); !problem.empty()) return problem;
    locked_ = true;
  }
  if (std::ofstream file(size); !(file << *all - usable + pages << std::flush)) {
    return fmt::format("{}: {}", size, in_words(errno));
  }
  const std::int64_t got = number_in("free_hugepages").value_or(0) - number_in("resv_hugepages").value_or(0);
  if (got == pages) return {};
  return fmt::format("{}: the machine has room for {} and not for {}", kNone, got, pages);
}

std::optional<HugePool::Counts> HugePool::counts() const {
  const auto free = number_in("free_hugepages");
  const auto reserved = number_in("resv_hugepages");
  if (!free || !reserved) return std::nullopt;
  return Counts{*free - promised_to_others_, *reserved - promised_to_others_};
}

bool HugePool::is_whole() const {
  const std::optional<Counts> now = counts();
  return now && now->free == pages_ && now->reserved == 0;
}

std::string HugePool::try_out() {
  Keeper keeper;
  HugePool pool;
  if (std::string problem = pool.open(keeper, 1, false); !problem.empty()) return problem;
  void* const at =
      ::mmap(nullptr, kHugeBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | kHugetlbMapFlags, -1, 0);
  if (at == MAP_FAILED) return in_words(errno);
  *static_cast<volatile char*>(at) = 1;
  ::munmap(at, kHugeBytes);
  return {};
}

}  // namespace cowherd::live
