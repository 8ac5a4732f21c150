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
#include "live/outside.hpp"
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
  Answer resume(std::uint8_t block) override;
  std::vector<Ended> take_ended() override { return std::exchange(ended_, {}); }
  Answer exit(std::uint8_t process) override;
  Answer look(std::uint8_t process, const litmus::Place& place) override;
  Answer inspect(std::uint8_t process, const litmus::Term& term) override;
  [[nodiscard]] bool may_lack(const litmus::Operation& operation) const override;
  Answer end_all() override;

  /// What `block` is asked next is not done before this time of the monotonic clock, in nanoseconds; 0: at once.
  /// Requests to different blocks may be made by several threads at the same time.
  void hold_back(std::uint8_t block, std::int64_t until) { not_before_[block] = until; }

  /// The process number of a process of the test; 0 where it is not there.
  [[nodiscard]] pid_t pid_of(std::uint8_t process) const;
  /// Where a word of the test lies, in every process.
  [[nodiscard]] std::uint64_t address_of(const litmus::Place& place) const { return layout_.address_of(place); }

 private:
  /// A page of a process of the test.
  struct Mapped {
    std::uint8_t process;
    litmus::Place place;
  };

  Answer spawn(std::uint8_t block);
  Answer build(std::uint8_t block, const litmus::Variable& variable);
  /// The block that serves requests for the memory of `process`.
  [[nodiscard]] std::uint8_t server_of(std::uint8_t process) const;
  /// Waits for a while until nobody has a page of the hugetlb pool.
  [[nodiscard]] bool pool_is_whole() const;
  /// Whether an operation that waits is done there.
  [[nodiscard]] bool is_busy(std::size_t channel) const;
  void post(std::uint8_t block, const Request& request);
  /// Of one that comes to wait for userfaultfd's handler: that it does.
  Answer await(std::uint8_t block);
  /// Of what does not wait for a handler.
  Answer ask(std::uint8_t block, const Request& request);
  /// Of what may. Precondition: it is all that `block`, of the test, does in this operation.
  Answer ask_or_wait(std::uint8_t block, const Request& request);
  Answer await_birth(std::uint8_t block);
  Answer lost(std::uint8_t block, std::string_view what) const;
  [[nodiscard]] bool gone(std::uint8_t block) const;
  /// False: it has not ended in time.
  [[nodiscard]] bool await_end(std::uint8_t block) const;
  Answer start(std::uint8_t block, const litmus::Operation& operation);
  Answer exec(std::uint8_t block, std::uint8_t process);
  Answer take(std::uint8_t block, std::uint8_t process, const litmus::Operation& operation);
  /// Asks for `pages`, or goes on with what asking for them has come to; and for fewer.
  Answer take_from(std::uint8_t block, std::uint8_t server, const litmus::Operation& operation, std::uint64_t pages,
                   std::optional<Answer> got);
  Answer transfer(std::uint8_t block, const litmus::Operation& operation, std::int64_t value);
  Answer let_go(std::uint8_t block, const litmus::Operation& operation);
  /// What a process said of its graphics card is an error of the test's, or why there is no answer.
  Answer from_card(std::uint8_t channel, Answer answer, bool mapped) const;
  Answer on_file(std::uint8_t block, const litmus::Operation& operation, std::int64_t value);
  /// Says in `request`, an mmap, what is behind these pages of a variable.
  void say_backing(Request& request, const litmus::Place& place) const;
  Answer debug(const litmus::Operation& operation, std::int64_t value) const;
  Answer debug_aside(std::uint8_t block, const litmus::Operation& operation, std::int64_t value);
  // Userfaultfd's handler, which is the controller: stage_handler.cpp.
  void end_handlers();
  Answer as_handler(std::uint8_t block, std::uint8_t process, const litmus::Operation& operation, std::int64_t value);
  /// Whose memory the process lives in: its own, or its parent's.
  [[nodiscard]] std::uint8_t memory_of(std::uint8_t process) const;
  /// The userfaultfd of that memory with these events, or with any; made where there is none. Its number, or -1 and
  /// `answer`.
  std::size_t handler_of(std::uint8_t process, std::optional<UffdFlags> events, Answer& answer);
  Answer move_pages(std::uint8_t block, std::size_t handler, const litmus::Operation& operation);
  /// Hears what the kernel tells of who waits, and of children.
  void hear();
  /// A child has come to be: what has been heard of its memory is its own.
  void adopt(std::uint8_t child);
  void forget_memory(std::uint8_t process);
  Answer await_outside(std::uint8_t block);
  /// Goes on with an operation that has waited, until it waits again or is over.
  Answer go_on(std::uint8_t block);
  Answer look_by_second(std::uint8_t process, const Request& request);
  Answer clear_refs(std::uint8_t process) const;
  Answer swap_out(std::uint8_t process, const litmus::Place& place);
  Answer advise_page(std::uint8_t process, const litmus::Place& place, Advice advice);
  Answer drop_from_others(std::uint8_t process, const litmus::Place& place, const std::vector<Mapped>& mapped);
  /// Whether it is shared memory, or a memfd's.
  [[nodiscard]] bool is_file_in_memory(const litmus::Place& place) const;
  /// As swapped() of a page that no entry shows.
  [[nodiscard]] bool is_file_page_in_swap(std::uint8_t process, const litmus::Place& place) const;
  Answer swap_out_unmapped(std::uint8_t process, const litmus::Place& place);
  bool await_swapped(std::uint8_t process, const litmus::Place& place);
  Answer swap_in(std::uint8_t process, const litmus::Place& place);
  Answer merge(std::uint8_t process, const litmus::Operation& operation);
  Answer merge_zeros(std::uint8_t process, const litmus::Place& place) const;
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
  /// Whether the mapping there has the right that a pin needs.
  [[nodiscard]] bool is_mapped(std::uint8_t server, const litmus::Operation& operation, std::uint64_t address) const;
  /// What /proc shows of each page of the test in the process.
  template <class Visit>
  void for_each_page(std::uint8_t process, Visit&& visit) const;
  /// The entries of the test's processes that map the frame.
  [[nodiscard]] std::vector<Mapped> mapped_in_test(std::uint64_t frame) const;
  /// The parent of a child of vfork that has its own memory now goes on.
  Answer resume_parent(std::uint8_t child);
  [[nodiscard]] Request on_pages(Ask ask, const litmus::Place& place) const;

  KernelWork* work_;
  std::chrono::milliseconds patience_;
  bool all_processors_;
  const litmus::Program* program_ = nullptr;
  Layout layout_;
  KernelUses uses_;
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

  /// The handler's end of a userfaultfd; the number that it has in a process of the test, and in which.
  struct Handler {
    int file = -1;
    std::uint8_t process = 0;
    UffdFlags events = UffdFlags::kNone;
    int inside = -1;
    pid_t inside_of = 0;
  };
  /// Somebody waits for a page.
  struct Parked {
    std::size_t handler = 0;
    std::uint64_t page = 0;
  };
  /// An operation of a block that has not ended: who does it, and what it then comes to.
  struct UnderWay {
    std::size_t by = 0;
    const litmus::Operation* operation = nullptr;
    std::uint64_t pages = 0;
  };
  /// By channel, and after those by block, of what is done outside of the test's processes.
  std::array<std::optional<Parked>, kChannels + litmus::kMaxBlocks> parked_{};
  std::array<std::optional<UnderWay>, litmus::kMaxBlocks> under_way_{};
  std::array<std::unique_ptr<Outside>, litmus::kMaxBlocks> outside_{};
  std::vector<Handler> handlers_;
  /// Heard of, and not adopted yet: of `process`, its parent.
  std::vector<Handler> children_;
  std::vector<Ended> ended_;
  /// Whether the test says what userfaultfd's handler does.
  bool has_handler_ = false;
  /// Who is being asked: a thread that nobody knows and that waits does so for it.
  std::size_t asked_now_ = 0;
};

}  // namespace cowherd::live
