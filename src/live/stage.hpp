#pragma once

#include <sched.h>
#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "litmus/program.hpp"
#include "live/channel.hpp"
#include "live/course.hpp"
#include "live/device.hpp"
#include "live/files.hpp"
#include "live/kernel_work.hpp"
#include "live/layout.hpp"
#include "live/page_facts.hpp"

namespace cowherd::live {

inline Answer answer_of(const Reply& reply) { return {static_cast<Errno>(reply.error), reply.value, {}}; }

/// The devices of a test, by number: how each is to get hold of pages, and how many references at most.
struct DevicePlan {
  Way way = Way::kNone;
  std::size_t pages = 1;
};

/// Plays one test on the running kernel, run after run: a process for each process of the test, a thread for each
/// thread, fork by fork() and so on. The processes are in a group of their own and end with the run, with this object
/// or, should this program be killed, within a moment of it. One at a time in a program; not thread-safe.
class Stage final : public Executor {
 public:
  /// Whether the processes of the test have one processor for all, which is fastest where no two of them run at the
  /// same time, or as many as there are.
  enum class Processors : std::uint8_t { kOne, kAll };

  /// `work` must outlive it.
  explicit Stage(KernelWork& work, std::chrono::milliseconds patience = std::chrono::seconds(10),
                 Processors processors = Processors::kOne)
      : work_(&work), patience_(patience), all_processors_(processors == Processors::kAll) {
    watch_.fill(-1);
  }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  ~Stage() override;

  /// Before anything else. Empty, or why there is no playing here.
  std::string open(const litmus::Program& program, const std::vector<DevicePlan>& devices, const KernelUses& uses = {});
  /// Ends all processes of the run.
  void clear();

  Answer begin(const litmus::Program& program) override;
  Answer perform(std::uint8_t block, std::uint8_t process, const litmus::Operation& operation,
                 std::int64_t value) override;
  Answer exit(std::uint8_t process) override;
  Answer look(std::uint8_t process, const litmus::Place& place) override;
  Answer inspect(std::uint8_t process, const litmus::Term& term) override;
  Answer end_all() override;

  /// What `block` is asked next is not done before this time of the monotonic clock, in nanoseconds; 0: at once.
  /// Requests to different blocks may be made by several threads at the same time.
  void hold_back(std::uint8_t block, std::int64_t until) { not_before_[block] = until; }

  /// The process number of a process of the test; 0 where it is not there.
  [[nodiscard]] pid_t pid_of(std::uint8_t process) const;
  /// Where a word of the test lies, in every process.
  [[nodiscard]] std::uint64_t address_of(const litmus::Place& place) const { return layout_.address_of(place); }

 private:
  Answer spawn(std::uint8_t block);
  Answer build(std::uint8_t block, const litmus::Variable& variable);
  /// The block that serves requests for the memory of `process`.
  [[nodiscard]] std::uint8_t server_of(std::uint8_t process) const;
  void post(std::uint8_t block, const Request& request);
  Answer await(std::uint8_t block);
  Answer ask(std::uint8_t block, const Request& request);
  Answer await_birth(std::uint8_t block);
  Answer lost(std::uint8_t block, std::string_view what) const;
  [[nodiscard]] bool gone(std::uint8_t block) const;
  /// False: it has not ended in time.
  [[nodiscard]] bool await_end(std::uint8_t block) const;
  Answer start(std::uint8_t block, const litmus::Operation& operation);
  Answer exec(std::uint8_t block, std::uint8_t process);
  Answer take(std::uint8_t block, std::uint8_t process, const litmus::Operation& operation);
  Answer transfer(std::uint8_t block, const litmus::Operation& operation, std::int64_t value);
  Answer let_go(std::uint8_t block, const litmus::Operation& operation);
  /// What a process said of its graphics card is an error of the test's, or why there is no answer.
  Answer from_card(std::uint8_t channel, Answer answer, bool mapped) const;
  Answer on_file(std::uint8_t block, const litmus::Operation& operation, std::int64_t value);
  /// Says in `request`, an mmap, what is behind these pages of a variable.
  void say_backing(Request& request, const litmus::Place& place) const;
  Answer debug(const litmus::Operation& operation, std::int64_t value) const;
  Answer clear_refs(std::uint8_t process) const;
  Answer swap_out(std::uint8_t process, const litmus::Place& place);
  bool await_swapped(std::uint8_t process, const litmus::Place& place);
  Answer swap_in(std::uint8_t process, const litmus::Place& place);
  Answer merge(std::uint8_t process, const litmus::Operation& operation);
  Answer part(std::uint8_t process, const litmus::Place& place);
  Answer collapse(std::uint8_t process, const litmus::Place& place);
  Answer split(std::uint8_t process, const litmus::Place& place);
  Answer migrate(std::uint8_t process, const litmus::Place& place) const;
  Answer poison(std::uint8_t process, const litmus::Place& place);
  /// The flags of the page are those of the first one of its huge page.
  [[nodiscard]] std::uint64_t frame_with_flags(std::uint64_t address, const PageEntry& entry) const;
  Answer by_copy(Device& device, std::uint8_t server, std::uint64_t address, std::uint64_t pages) const;
  /// Where a device finds a word of what it holds.
  [[nodiscard]] std::uint64_t offset_in(const Device& device, const litmus::Place& place) const;
  [[nodiscard]] std::uint64_t bytes_held(const Device& device, std::uint64_t pages) const;
  [[nodiscard]] std::int64_t pages_of(std::uint8_t process) const;
  /// A transfer that finds a bad page goes on with those before it, and does not say so before its end, and a card
  /// takes all or none: those before it are asked for.
  [[nodiscard]] std::uint64_t pages_to_ask_for(std::uint8_t server, const litmus::Operation& operation) const;
  /// Or a file's.
  [[nodiscard]] bool is_shared(std::uint8_t variable) const;
  /// Whether the mapping there has the right that a pin needs.
  [[nodiscard]] bool is_mapped(std::uint8_t server, const litmus::Operation& operation, std::uint64_t address) const;
  /// What /proc shows of each page of the test in the process.
  template <class Visit>
  void for_each_page(std::uint8_t process, Visit&& visit) const;
  /// The entries of the test's processes that map the frame.
  [[nodiscard]] std::size_t mappings_in_test(std::uint64_t frame) const;
  /// The parent of a child of vfork that has its own memory now goes on.
  Answer resume_parent(std::uint8_t child);
  [[nodiscard]] Request on_pages(Ask ask, const litmus::Place& place) const;

  KernelWork* work_;
  std::chrono::milliseconds patience_;
  bool all_processors_;
  const litmus::Program* program_ = nullptr;
  Layout layout_;
  Region* region_ = nullptr;
  int region_fd_ = -1;
  int lifeline_ = -1;
  cpu_set_t processors_{};
  bool moved_ = false;
  bool was_reaper_ = false;
  pid_t group_ = 0;
  std::vector<std::unique_ptr<Device>> devices_;
  Files files_;
  std::array<std::uint32_t, kChannels> asked_{};
  std::array<std::int64_t, kChannels> not_before_{};
  /// Process and address of each page that the test has had merged in this run.
  std::set<std::pair<std::uint8_t, std::uint64_t>> merged_;
  /// Frames that the test has had fail in this run.
  std::vector<std::uint64_t> poisoned_;
  std::array<int, kChannels> watch_{};
  std::array<std::uint8_t, litmus::kMaxBlocks> server_{};
  /// The child of vfork that the block waits for.
  std::array<std::optional<std::uint8_t>, litmus::kMaxBlocks> suspended_by_{};
};

}  // namespace cowherd::live
