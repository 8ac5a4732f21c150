#pragma once

#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mm/operations.hpp"
#include "mm/test_fork_mode.hpp"
#include "mm/test_model.hpp"

namespace cowherd::mm {

/// Operations chosen by somebody else, run on a machine and on the model beside it. Under our own rules devices write
/// too, and every pin must stay what its owner sees; under any rules processes must see their own memory.
template <class G>
class Stress {
 public:
  /// Answers with a number below its argument.
  using Choose = std::function<std::uint32_t(std::uint32_t)>;

  static constexpr std::size_t kPages = 14;
  static constexpr std::size_t kPageBytes = Geometry<G>::kPageBytes;
  static constexpr std::size_t kMaxProcesses = 7;

  Stress(const Rules& rules, std::size_t frames, Choose choose, std::size_t swap = 0, bool huge = false,
         unsigned folio_order = 0)
      : Stress(
            rules,
            MachineSize{.frames = PageCount{frames}, .swap = PageCount{swap}, .huge = huge, .folio_order = folio_order},
            std::move(choose)) {}
  Stress(const Rules& rules, const MachineSize& size, Choose choose)
      : bytes_(System<G>::footprint(size)),
        memory_(static_cast<std::byte*>(std::aligned_alloc(4096, (bytes_ + 4095) / 4096 * 4096))),
        system_(format(memory_.get(), bytes_, size, rules)),
        choose_(std::move(choose)),
        ours_(rules == kCowherdRules),
        hole_in_force_(rules.gup_force == GupForce::kDirtyEntry) {}

  System<G>& system() { return system_; }

  /// Empty, or what came out otherwise than in the model.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

  void step() {
    system_.frames().clear_shortage();
    if (processes_.empty()) {
      spawn_one();
      return;
    }
    if (system_.has_swap() && choose_(4) == 0) return swap_some(pick_process());
    if (system_.has_huge() && choose_(6) == 0) return huge_some(pick_process());
    const std::uint32_t what = choose_(100);
    const ProcessId process = pick_process();
    if (what < 8) return map(process);
    if (what < 12) return unmap(process);
    if (what < 16) return remap(process);
    if (what < 20) return protect(process);
    if (what < 28) return advise(process);
    if (what < 48) return store(process, false);
    if (what < 58) return load(process, false);
    if (what < 61 && !hole_in_force_) return store(process, true);
    if (what < 64) return load(process, true);
    if (what < 73) return fork_one(process);
    if (what < 75) return vfork_one(process);
    if (what < 77) return exec_one(process);
    if (what < 81) return exit_one(process);
    if (what < 83) return spawn_one();
    if (what < 91) return pin_some(process);
    if (what < 94) return unpin_one();
    if (what < 98) return use_device();
    lock_or_unlock(process);
  }

  /// Compares all there is.
  void compare() {
    for (const auto& [process, space] : processes_) {
      std::vector<std::byte> got(kPageBytes);
      for (std::size_t page = 0; page < kPages; ++page) {
        if (!space->page(page).mapped) continue;
        const Access access = ptrace_read(system_, ProcessId{process}, at(page), got);
        // Some rules make a reader wait, or take memory for its copy.
        if (access.error == Errno{0} && std::memcmp(got.data(), space->page(page).bytes->data(), kPageBytes) != 0) {
          return wrong("process " + std::to_string(process) + " page " + std::to_string(page) + " differs");
        }
      }
    }
    for (const auto& [id, pin] : pins_) {
      for (std::size_t page = 0; page < pin.pages.size(); ++page) compare_pin(id, pin, page);
    }
  }

  /// Everybody goes; nothing may be left.
  void finish() {
    for (const FrameNumber frame : locked_) unlock_page(system_, frame);
    for (const auto& [id, pin] : pins_) unpin(system_, PinId{id}, true);
    while (!processes_.empty()) {
      const ProcessId gone{processes_.begin()->first};
      disown(system_, gone);
      if (!exit(system_, gone)) return wrong("exit failed");
      processes_.erase(processes_.begin());
    }
    const PageCount left = system_.frames().frame_count() - system_.frames().free_count();
    if (left != system_.zero_pages()) wrong("frames were lost");
    if (system_.has_swap() && system_.swap().free_count() != system_.swap().block_count()) wrong("slots were lost");
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }  // NOLINT(cppcoreguidelines-no-malloc)
  };
  static System<G> format(std::byte* memory, std::size_t bytes, const MachineSize& size, const Rules& rules) {
    std::memset(memory, 0xEE, bytes);
    System<G>::format(memory, size, rules);
    return System<G>(memory);
  }

  static Vaddr at(std::uint64_t page) { return Geometry<G>::address_of(Vpn{page}); }
  static ByteCount length(std::uint64_t pages) { return ByteCount{pages * kPageBytes}; }

  void wrong(std::string text) {
    if (trouble_.empty()) trouble_ = std::move(text);
  }
  void expect(Errno got, Errno wanted, const char* what) {
    if (got != wanted) wrong(std::string(what) + " gave " + name_of(got) + ", not " + name_of(wanted));
  }
  template <class T>
  static Errno error_of(const Result<T>& result) {
    return result ? Errno{0} : result.error();
  }
  /// Failed for a reason that the model does not know, and so did nothing.
  [[nodiscard]] bool excused(Errno error) {
    return error == Errno::kWouldBlock ||
           ((error == Errno::kNoMemory || error == Errno::kSigBus) && system_.frames().shortage());
  }

  ProcessId pick_process() {
    auto it = std::next(processes_.begin(), choose_(static_cast<std::uint32_t>(processes_.size())));
    // A suspended parent does not run; its child does.
    while (suspended(system_, ProcessId{it->first})) {
      it = std::next(it) == processes_.end() ? processes_.begin() : std::next(it);
    }
    return ProcessId{it->first};
  }
  ModelSpace<G>& space(ProcessId process) { return *processes_.at(process.value()); }
  std::pair<std::uint64_t, std::uint64_t> pick_range() {
    const std::uint64_t first = choose_(kPages);
    return {first, 1 + choose_(static_cast<std::uint32_t>(std::min<std::uint64_t>(kPages - first, 5)))};
  }
  Protection pick_protection() {
    constexpr Protection kChoices[] = {Protection::kReadWrite, Protection::kReadWrite, Protection::kReadWrite,
                                       Protection::kRead,      Protection::kNone,      Protection::kWrite};
    return kChoices[choose_(6)];
  }

  void map(ProcessId process) {
    const auto [first, count] = pick_range();
    const Protection protection = pick_protection();
    const MapFlags flags = choose_(4) == 0 ? MapFlags::kFixed | MapFlags::kPopulate : MapFlags::kFixed;
    const Errno error = error_of(mmap(system_, process, at(first), length(count), protection, flags));
    if (excused(error)) return;
    expect(error, Errno{0}, "mmap");
    space(process).map(first, count, protection);
  }
  void unmap(ProcessId process) {
    const auto [first, count] = pick_range();
    const Errno error = error_of(munmap(system_, process, at(first), length(count)));
    if (excused(error)) return;
    expect(error, Errno{0}, "munmap");
    space(process).unmap(first, count);
  }
  void remap(ProcessId process) {
    const auto [first, count] = pick_range();
    auto [to, new_count] = pick_range();
    RemapFlags flags = RemapFlags::kMayMove | RemapFlags::kFixed;
    const std::uint32_t how = choose_(8);
    if (how < 4 && to + count <= kPages) new_count = count;
    if (how == 0) flags = flags | RemapFlags::kDontUnmap;
    if (how >= 6) {
      to = first;
      new_count = std::min<std::uint64_t>(new_count, kPages - first);
      flags = RemapFlags::kNone;
    }
    const Errno error = error_of(mremap(system_, process, at(first), length(count), length(new_count), flags, at(to)));
    if (excused(error)) return;
    const bool moves = has(flags, RemapFlags::kFixed);
    const bool leave = has(flags, RemapFlags::kDontUnmap);
    ModelSpace<G>& own = space(process);
    if ((moves && to < first + count && first < to + new_count) || (leave && count != new_count)) {
      return expect(error, Errno::kInvalid, "mremap");
    }
    if (!own.page(first).mapped) return expect(error, Errno::kFault, "mremap");
    // Whether several pages are one mapping the model does not know.
    if (count < new_count && error == Errno::kFault && count > 1) return;
    if (count < new_count && own.hole_in(first, count)) return expect(error, Errno::kFault, "mremap");
    bool room = true;
    for (std::uint64_t page = first + count; !moves && page < first + new_count; ++page) {
      room = room && !own.page(page).mapped;
    }
    expect(error, room ? Errno{0} : Errno::kNoMemory, "mremap");
    if (room) own.remap(first, count, to, new_count, leave);
  }
  void protect(ProcessId process) {
    const auto [first, count] = pick_range();
    const Protection protection = pick_protection();
    const Errno error = error_of(mprotect(system_, process, at(first), length(count), protection));
    if (excused(error)) return;
    expect(error, space(process).hole_in(first, count) ? Errno::kNoMemory : Errno{0}, "mprotect");
    space(process).protect(first, count, protection);
  }
  void advise(ProcessId process) {
    const auto [first, count] = pick_range();
    const auto advice = static_cast<Advice>(choose_(7));
    const Errno error = error_of(madvise(system_, process, at(first), length(count), advice));
    if (excused(error) || advice == Advice::kPopulateRead || advice == Advice::kPopulateWrite) return;
    expect(error, space(process).hole_in(first, count) ? Errno::kNoMemory : Errno{0}, "madvise");
    space(process).advise(first, count, advice);
  }

  /// Somewhere around a page's beginning or end, now and then over a whole page.
  std::pair<std::uint64_t, std::size_t> pick_bytes() {
    const std::uint64_t page = choose_(kPages);
    const std::uint64_t address = page * kPageBytes + (choose_(2) == 0 ? choose_(3) : kPageBytes - 1 - choose_(3));
    return {address, choose_(8) == 0 ? kPageBytes + choose_(9) : 1 + choose_(9)};
  }
  void judge_access(Access access, std::size_t reach, std::size_t size, bool force, const char* what) {
    if (excused(access.error)) return;
    const Errno wanted = reach == size ? Errno{0} : force ? Errno::kFault : Errno::kSigSegv;
    expect(access.error, wanted, what);
    if (access.done != ByteCount{reach}) wrong(std::string(what) + " came too far, or not far enough");
  }
  void store(ProcessId process, bool force) {
    const auto [address, size] = pick_bytes();
    std::vector<std::byte> sent(size);
    for (std::byte& byte : sent) byte = static_cast<std::byte>(next_value_++);
    const std::size_t reach = space(process).reach(address, size, true, force);
    const Access access =
        force ? ptrace_write(system_, process, Vaddr{address}, sent) : write(system_, process, Vaddr{address}, sent);
    judge_access(access, reach, size, force, "write");
    if (access.done.value() > reach) return;
    for (std::size_t i = 0; i < access.done.value(); ++i) space(process).byte(address + i) = sent[i];
  }
  void load(ProcessId process, bool force) {
    const auto [address, size] = pick_bytes();
    std::vector<std::byte> got(size);
    const std::size_t reach = space(process).reach(address, size, false, force);
    const Access access =
        force ? ptrace_read(system_, process, Vaddr{address}, got) : read(system_, process, Vaddr{address}, got);
    judge_access(access, reach, size, force, "read");
    for (std::size_t i = 0; i < access.done.value() && i < reach; ++i) {
      if (got[i] != space(process).byte(address + i)) {
        return wrong("process " + std::to_string(process.value()) + " read something else at byte " +
                     std::to_string(address + i));
      }
    }
  }

  void add(Result<ProcessId> made, std::shared_ptr<ModelSpace<G>> where) {
    if (!made) {
      if (!excused(made.error()) && made.error() != Errno::kBusy)
        expect(made.error(), Errno::kNoMemory, "a new process");
      return;
    }
    processes_.emplace(made->value(), std::move(where));
  }
  void spawn_one() {
    if (processes_.size() < kMaxProcesses) add(spawn(system_), std::make_shared<ModelSpace<G>>(kPages));
  }
  void fork_one(ProcessId parent) {
    if (processes_.size() < kMaxProcesses) add(fork(system_, parent, fork_mode_of_tests()), space(parent).forked());
  }
  void vfork_one(ProcessId parent) {
    if (processes_.size() < kMaxProcesses) add(vfork(system_, parent), processes_.at(parent.value()));
  }
  void exec_one(ProcessId process) {
    const Errno error = error_of(exec(system_, process));
    if (excused(error)) return;
    expect(error, Errno{0}, "exec");
    processes_.at(process.value()) = std::make_shared<ModelSpace<G>>(kPages);
  }
  void exit_one(ProcessId process) {
    if (choose_(2) == 0) disown(system_, process);
    const Ref<Process> parent = system_.at(Ref<Process>{process.value()}).parent;
    expect(error_of(exit(system_, process)), Errno{0}, "exit");
    processes_.erase(process.value());
    if (parent) expect(error_of(wait(system_, ProcessId{parent.unit}, process)), Errno{0}, "wait");
  }

  void pin_some(ProcessId process) {
    constexpr PinFlags kChoices[] = {PinFlags::kNone,
                                     PinFlags::kWrite,
                                     PinFlags::kLongTerm,
                                     PinFlags::kWrite | PinFlags::kLongTerm,
                                     PinFlags::kGet,
                                     PinFlags::kGet | PinFlags::kWrite,
                                     PinFlags::kWrite | PinFlags::kForce,
                                     PinFlags::kLongTerm | PinFlags::kForce,
                                     PinFlags::kNoFault};
    const PinFlags flags = kChoices[choose_(hole_in_force_ ? 6 : 9)];
    const auto [first, count] = pick_range();
    if (pins_.size() >= 6) return;
    auto pinned = pin(system_, process, at(first), PageCount{count}, flags, 1 + choose_(2));
    const bool force = has(flags, PinFlags::kForce);
    const std::size_t reach =
        space(process).reach(first * kPageBytes, count * kPageBytes, has(flags, PinFlags::kWrite), force) / kPageBytes;
    if (!pinned) {
      if (!excused(pinned.error()) && !has(flags, PinFlags::kNoFault) && reach != 0) wrong("a pin was refused");
      return;
    }
    if (pinned->pages.value() > reach) return wrong("a pin holds what it may not");
    ModelPin<G>& model = pins_[pinned->id.value()];
    model.write = has(flags, PinFlags::kWrite);
    for (std::uint64_t page = 0; page < pinned->pages.value(); ++page) {
      // A short reference for reading may be to the zero page, and then it stays with that.
      const bool zero = pinned_frame(system_, pinned->id, PageCount{page}) == Frames<G>::kZeroPage;
      model.pages.push_back({space(process).page(first + page).bytes, ours_ && !zero});
      compare_pin(pinned->id.value(), model, page);
    }
  }
  void compare_pin(std::uint32_t id, const ModelPin<G>& pin, std::size_t page) {
    std::vector<std::byte> got(kPageBytes);
    expect(dma_read(system_, PinId{id}, length(page), got).error, Errno{0}, "dma_read");
    if (pin.pages[page].coherent && std::memcmp(got.data(), pin.pages[page].bytes->data(), kPageBytes) != 0) {
      wrong("a device and its owner see different bytes");
    }
  }
  void unpin_one() {
    if (pins_.empty()) return;
    const auto it = std::next(pins_.begin(), choose_(static_cast<std::uint32_t>(pins_.size())));
    unpin(system_, PinId{it->first}, it->second.write);
    pins_.erase(it);
  }
  void use_device() {
    if (pins_.empty()) return;
    const auto it = std::next(pins_.begin(), choose_(static_cast<std::uint32_t>(pins_.size())));
    ModelPin<G>& pin = it->second;
    const std::size_t page = choose_(static_cast<std::uint32_t>(pin.pages.size()));
    if (!ours_ || !pin.write) return compare_pin(it->first, pin, page);
    const auto value = static_cast<std::byte>(next_value_++);
    const std::size_t offset = choose_(static_cast<std::uint32_t>(kPageBytes));
    expect(dma_write(system_, PinId{it->first}, ByteCount{page * kPageBytes + offset}, {&value, 1}).error, Errno{0},
           "dma_write");
    (*pin.pages[page].bytes)[offset] = value;
  }

  /// Changes nothing that anybody sees.
  void swap_some(ProcessId process) {
    const Vaddr address = at(choose_(kPages));
    switch (choose_(8)) {
      case 0:
        (void)reclaim(system_, PageCount{1 + choose_(4)});
        break;
      case 1:
        (void)swap_in(system_, process, address);
        break;
      case 2:
        (void)madvise(system_, process, address, length(1), Advice::kPageOut);
        break;
      case 3:
        (void)madvise(system_, process, address, length(2), Advice::kCold);
        break;
      case 4:
        (void)migrate(system_, process, address);
        break;
      default:
        (void)swap_out(system_, process, address);
        break;
    }
  }

  /// Changes nothing that anybody sees, either.
  void huge_some(ProcessId process) {
    const Vaddr address = at(choose_(kPages));
    switch (choose_(4)) {
      case 0:
        (void)collapse(system_, process, address);
        break;
      case 1:
        (void)split(system_, process, address);
        break;
      case 2:
        (void)madvise(system_, process, at(0), length(kPages), Advice::kCollapse);
        break;
      default:
        (void)madvise(system_, process, at(0), length(kPages), Advice::kHugePage);
        break;
    }
  }

  void lock_or_unlock(ProcessId process) {
    // A thread of the host would wait for the lock, and nobody else could give it back.
    if (!G::kExplored && system_.rules().page_lock == PageLock::kSleep) return;
    if (!locked_.empty()) {
      unlock_page(system_, locked_.back());
      locked_.pop_back();
    } else if (auto frame = lock_page(system_, process, at(choose_(kPages)))) {
      locked_.push_back(*frame);
    }
  }

  std::size_t bytes_;
  std::unique_ptr<std::byte, Free> memory_;
  System<G> system_;
  Choose choose_;
  bool ours_;
  /// 2.6.13-rc5 let a debugger write into other processes' pages.
  bool hole_in_force_;
  std::string trouble_;
  std::map<std::uint32_t, std::shared_ptr<ModelSpace<G>>> processes_;
  std::map<std::uint32_t, ModelPin<G>> pins_;
  std::vector<FrameNumber> locked_;
  unsigned next_value_ = 1;
};

}  // namespace cowherd::mm
