#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>

#include "mm/operations.hpp"
#include "mm/test_bed.hpp"
#include "mm/test_stopwatch.hpp"

// Forks that share tables, and what becomes of the tables afterwards. 64 GiB are tables over the zero page: such a fork
// looks at no entry of theirs. "per page" is the whole path's time where the path is one, and else what its label says.

namespace cowherd::mm {
namespace {

using P = ProductionGeometry;
constexpr std::uint64_t kEntries = Geometry<P>::kEntries;
constexpr std::uint64_t kPagesOf64Gib = std::uint64_t{1} << 24;
constexpr std::uint64_t kPages = 65536;

ForkMode mode_of(const benchmark::State& state) {
  return state.range(0) != 0 ? ForkMode::kSharedSubtrees : ForkMode::kSharedLeaves;
}
const char* name_of(ForkMode mode) { return mode == ForkMode::kSharedSubtrees ? "subtrees" : "leaves"; }

/// A process with tables alone, or with pages of its own.
class Sharing {
 public:
  Sharing(std::uint64_t pages, bool tables_alone)
      : bed_(tables_alone ? pages / kEntries * 3 : pages * 3), parent_(bed_.spawn()) {
    bed_.map(parent_, 0, pages);
    advise(0, pages, tables_alone ? Advice::kPopulateRead : Advice::kPopulateWrite);
  }

  System<P>& operator*() { return *bed_; }
  [[nodiscard]] ProcessId parent() const { return parent_; }
  void advise(std::uint64_t page, std::uint64_t pages, Advice advice) {
    Bed<P>::must(madvise(*bed_, parent_, Bed<P>::at(page), Bed<P>::length(pages), advice));
  }
  void put(std::uint64_t page) { bed_.put(parent_, page); }
  void fork_child(ForkMode mode) { child_ = Bed<P>::must(fork(*bed_, parent_, mode)); }
  void end_child() {
    disown(*bed_, child_);
    benchmark::DoNotOptimize(exit(*bed_, child_).ok());
  }

 private:
  Bed<P> bed_;
  ProcessId parent_;
  ProcessId child_;
};

void bm_share_fork(benchmark::State& state) {
  const ForkMode mode = mode_of(state);
  Sharing sharing(kPagesOf64Gib, true);
  measure(
      state, 1, [] {}, [&] { sharing.fork_child(mode); }, [&] { sharing.end_child(); });
  state.SetLabel(name_of(mode));
}
BENCHMARK(bm_share_fork)->Arg(0)->Arg(1)->UseManualTime();

void bm_share_drop(benchmark::State& state) {
  const ForkMode mode = mode_of(state);
  Sharing sharing(kPagesOf64Gib, true);
  measure(
      state, 1, [&] { sharing.fork_child(mode); }, [&] { sharing.end_child(); }, [] {});
  state.SetLabel(name_of(mode));
}
BENCHMARK(bm_share_drop)->Arg(0)->Arg(1)->UseManualTime();

/// The first write under each lowest table: the table is copied, and the page.
void bm_share_first_write(benchmark::State& state) {
  const ForkMode mode = mode_of(state);
  Sharing sharing(kPages, false);
  measure(
      state, kPages / kEntries,
      [&] {
        sharing.advise(0, kPages, Advice::kPopulateWrite);
        sharing.fork_child(mode);
      },
      [&] {
        for (std::uint64_t page = 0; page < kPages; page += kEntries) sharing.put(page);
      },
      [&] { sharing.end_child(); });
  state.SetLabel(std::string(name_of(mode)) + ", per table");
}
BENCHMARK(bm_share_first_write)->Arg(0)->Arg(1)->UseManualTime();

/// One page pinned under each lowest table: every table is copied at fork, and the page.
void bm_share_pinned(benchmark::State& state) {
  const ForkMode mode = mode_of(state);
  Sharing sharing(kPages, false);
  for (std::uint64_t page = 0; page < kPages; page += kEntries) {
    Bed<P>::must(
        pin(*sharing, sharing.parent(), Bed<P>::at(page), PageCount{1}, PinFlags::kWrite | PinFlags::kLongTerm));
  }
  measure(
      state, kPages / kEntries, [&] { sharing.advise(0, kPages, Advice::kPopulateWrite); },
      [&] { sharing.fork_child(mode); }, [&] { sharing.end_child(); });
  state.SetLabel(std::string(name_of(mode)) + ", per pin");
}
BENCHMARK(bm_share_pinned)->Arg(0)->Arg(1)->UseManualTime();

}  // namespace
}  // namespace cowherd::mm
