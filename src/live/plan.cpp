#include "live/plan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "litmus/condition.hpp"
#include "litmus/printer.hpp"
#include "litmus/resolve.hpp"
#include "litmus/spelling.hpp"
#include "live/card_use.hpp"
#include "live/dirty_marks.hpp"
#include "live/known.hpp"
#include "live/layout.hpp"
#include "live/one_transfer.hpp"
#include "live/userfault.hpp"

namespace cowherd::live {
namespace {

using litmus::OpCode;
using litmus::Operation;

/// IORING_REGISTER_BUFFERS takes no more at once.
constexpr std::uint32_t kMostBuffers = 1u << 14;
/// Pages in a pipe that F_SETPIPE_SZ gives without privilege.
constexpr std::uint32_t kMostSpliced = 256;

/// Whether a process that fork() made has the variable, and touches it or is looked at there.
bool is_inherited(const litmus::Program& program, std::uint8_t variable) {
  const auto is_child = [&program](std::uint8_t process) {
    return program.blocks[process].start == litmus::BlockStart::kFork;
  };
  for (std::uint8_t b = 0; b < program.blocks.size(); ++b) {
    for (const Operation& op : program.blocks[b].operations) {
      const bool named = litmus::names_variable(op) &&
                         (op.place.variable == variable || (op.code == OpCode::kMremap && op.to.variable == variable));
      if (named && is_child(op.target.value_or(litmus::process_of(program, b)))) return true;
    }
  }
  for (const litmus::Term& term : litmus::observed_terms(program)) {
    const bool of_page = term.kind != litmus::Term::Kind::kLiteral && term.kind != litmus::Term::Kind::kRegister &&
                         term.kind != litmus::Term::Kind::kFaults && term.kind != litmus::Term::Kind::kFinding &&
                         term.kind != litmus::Term::Kind::kRss;
    if (of_page && term.place.variable == variable && is_child(litmus::process_of(program, term.block))) return true;
  }
  return false;
}

class Planner {
 public:
  Planner(const litmus::Program& program, const Offers& offers, PinBy pin_by)
      : program_(program), offers_(offers), pin_by_(pin_by), has_handler_(uses_userfault(program)) {
    plan_.devices.resize(program.devices.size());
  }

  Plan make() && {
    if (names_huge_pages(program_)) use_huge_pages();
    if (program_.movable) skip("where a page lies cannot be chosen from user space", "movable");
    if (has_hugetlb(program_)) use_pool();
    for (const litmus::FileVariable& file : program_.files) look_at_file(file);
    for (const litmus::Variable& variable : program_.variables) look_at_variable(variable);
    for (const litmus::Term& term : litmus::observed_terms(program_)) look_at_term(term);
    look_at_folios();
    for (std::size_t b = 0; b < program_.blocks.size(); ++b) {
      for (const Operation& op : program_.blocks[b].operations) look_at(b, op);
    }
    for (std::uint8_t d = 0; d < plan_.devices.size(); ++d) {
      refuse(beyond_dirty_marks(program_, d, plan_.devices[d].way), program_.devices[d]);
    }
    return std::move(plan_);
  }

 private:
  void skip(std::string_view reason, const std::string& what) {
    if (plan_.skip.empty()) plan_.skip = fmt::format("{} ({})", reason, what);
  }

  void refuse(const std::string& refusal, const std::string& what) {
    if (!refusal.empty()) skip(refusal, what);
  }

  void need(Need need, const std::string& what) {
    const Offer& offer = offers_[static_cast<std::size_t>(need)];
    if (!offer.here) skip(fmt::format("needs {}: {}", describe(need).name, offer.found), what);
  }

  void look_at_variable(const litmus::Variable& variable) {
    refuse(refusal_of(variable), variable.name);
    if (variable.kind != litmus::VariableKind::kSecret) return;
    need(Need::kSecret, variable.name);
    const auto number = static_cast<std::uint8_t>(&variable - program_.variables.data());
    if (is_inherited(program_, number)) {
      skip("secret memory is shared with children here, and not a process's own", variable.name);
    }
  }

  void look_at_folios() {
    if (!program_.folios) return;
    skip("which large folios there are is the machine's setting here, not a test's", "folios");
  }

  void use_huge_pages() {
    constexpr const char* kWhat = "huge pages";
    need(Need::kHugePages, kWhat);
    plan_.uses.huge = true;
    note("a page of the test is a quarter of a huge page, 512 KiB: its words are those of the first 4 KiB");
    const bool of_files = std::any_of(program_.variables.begin(), program_.variables.end(), [](const auto& variable) {
      return variable.shared || litmus::maps_file(variable.kind);
    });
    if (of_files || !program_.files.empty()) skip("huge pages of files are other ones than these", kWhat);
  }

  void use_pool() {
    need(Need::kHugetlb, "hugetlb pages");
    plan_.uses.pool = program_.pool_pages();
    bool counts = false;
    for (const litmus::Term& term : litmus::observed_terms(program_)) counts |= term.kind == litmus::Term::Kind::kPool;
    plan_.uses.exact_pool = program_.hugepages.has_value() || counts;
    note("a page of the test is a quarter of a page of the pool, 512 KiB: its words are those of the first 4 KiB");
    for (const litmus::FileVariable& file : program_.files) {
      if (!file.is_hugetlb()) skip("the pages of files are not of the size of the pool's", file.name);
    }
  }

  /// What no rule set does with the pool's pages as Linux does it.
  void look_at_pool_page(const Operation& op, const std::string& text) {
    switch (op.code) {
      case OpCode::kMremap:
        return skip("no rule set moves hugetlb pages, as Linux does since 5.16", text);
      case OpCode::kMigrate:
        return skip("no rule set migrates hugetlb pages, as Linux does", text);
      case OpCode::kPoison:
        return skip("no rule set lets hugetlb pages fail, as Linux does", text);
      case OpCode::kSwapOut:
      case OpCode::kSwapIn:
      case OpCode::kKsmMerge:
      case OpCode::kKsmZero:
      case OpCode::kSplit:
        return skip("nothing of the kind can be asked for of hugetlb pages", text);
      case OpCode::kMadvise:
        if (op.advice == Advice::kMergeable || op.advice == Advice::kUnmergeable) {
          return skip("KSM passes hugetlb pages by", text);
        }
        return;
      default:
        return;
    }
  }

  void look_at_file(const litmus::FileVariable& file) {
    if (file.kind != litmus::FileKind::kDisk) return;
    need(Need::kDisk, file.name);
    plan_.uses.disk = true;
  }

  void look_at_term(const litmus::Term& term) {
    const std::string text = litmus::print_term(program_, term);
    refuse(refusal_of(term), text);
    switch (term.kind) {
      case litmus::Term::Kind::kRss:
        // Which page is the one of zeros, either says.
        if (here(Need::kPageScan)) return;
        return need(Need::kPageFrames, text);
      case litmus::Term::Kind::kFrame:
        return need(Need::kPageFrames, text);
      case litmus::Term::Kind::kMapcount:
        need(Need::kPageFrames, text);
        return need(Need::kPageCounts, text);
      case litmus::Term::Kind::kExclusive:
        return need(Need::kExclusiveMark, text);
      case litmus::Term::Kind::kSoftDirty:
        return need(Need::kClearRefs, text);
      case litmus::Term::Kind::kSwapCache:
        return need(Need::kPageFrames, text);
      case litmus::Term::Kind::kFinding:
        return note(
            fmt::format("{} stands for what the reference semantics sees: the kernel's own counts do not show", text));
      default:
        return;
    }
  }

  void note(std::string sentence) {
    if (std::find(plan_.notes.begin(), plan_.notes.end(), sentence) == plan_.notes.end()) {
      plan_.notes.push_back(std::move(sentence));
    }
  }

  void look_at(std::size_t block, const Operation& op) {
    const std::string text = litmus::print_operation(program_, block, op);
    if (op.fail_nth != 0 || op.fail_any) {
      return skip("an allocation cannot be chosen to fail: its number differs from kernel to kernel", text);
    }
    refuse(refusal_of(op), text);
    if (is_of_handler(op.code)) return look_at_handler(op, text);
    const bool of_pool = litmus::names_variable(op) && litmus::is_hugetlb(program_.variables[op.place.variable].kind);
    if (of_pool) look_at_pool_page(op, text);
    // Where the kernel itself accesses memory, it may be that it has to wait.
    if (has_handler_ && is_access_by_kernel(op)) need(Need::kUserfaultKernel, text);
    switch (op.code) {
      case OpCode::kPin:
        return look_at_pin(op, text);
      case OpCode::kPtraceRead:
      case OpCode::kPtraceWrite:
        return need(Need::kProcMem, text);
      case OpCode::kClearRefs:
        return need(Need::kClearRefs, text);
      case OpCode::kMadvise:
        return look_at_advice(op.advice, text);
      case OpCode::kSwapOut:
      case OpCode::kSwapIn:
        return use_swap(text);
      case OpCode::kMremap:
        if (is_shared(op.place)) skip("no rule set moves shared memory or a file's, as Linux does", text);
        return;
      case OpCode::kKsmMerge:
        if (is_shared(op.place) || is_shared(op.to)) return skip("KSM merges private memory", text);
        return use_merging(text);
      case OpCode::kKsmZero:
        if (is_shared(op.place)) return skip("KSM merges private memory", text);
        need(Need::kKsmZero, text);
        return use_merging(text);
      case OpCode::kKsmUnmerge:
        return use_merging(text);
      case OpCode::kCollapse:
        return need(Need::kCollapse, text);
      case OpCode::kMigrate:
        need(Need::kPageFrames, text);
        return need(Need::kOtherNode, text);
      case OpCode::kPoison:
        need(Need::kPageFrames, text);
        return need(Need::kPoison, text);
      case OpCode::kDropCache:
        if (program_.files[op.file].kind == litmus::FileKind::kDisk) need(Need::kCacheFacts, text);
        return;
      default:
        return;
    }
  }

  static bool is_access_by_kernel(const Operation& op) {
    switch (op.code) {
      case OpCode::kPin:
      case OpCode::kPtraceRead:
      case OpCode::kPtraceWrite:
      case OpCode::kMlock:
        return true;
      case OpCode::kMadvise:
        return op.advice == Advice::kPopulateRead || op.advice == Advice::kPopulateWrite;
      default:
        return false;
    }
  }

  void look_at_handler(const Operation& op, const std::string& text) {
    need(Need::kUserfaultfd, text);
    if (litmus::is_hugetlb(program_.variables[op.place.variable].kind)) {
      return skip("no rule set registers hugetlb memory, as Linux does", text);
    }
    if (op.code == OpCode::kUffdMove) need(Need::kUserfaultMove, text);
    if (op.code == OpCode::kUffdPoison) need(Need::kUserfaultPoison, text);
    if (op.code == OpCode::kUffdWp || op.code == OpCode::kUffdUnwp) need(Need::kUserfaultWp, text);
    if (op.code == OpCode::kUffdContinue) need(Need::kUserfaultMinor, text);
    if (op.code != OpCode::kUffdRegister) return;
    if (has(op.uffd, UffdFlags::kWriteProtect)) need(Need::kUserfaultWp, text);
    if (has(op.uffd, UffdFlags::kMinor)) need(Need::kUserfaultMinor, text);
    if (has(op.uffd, UffdFlags::kWpAsync)) need(Need::kUserfaultAsync, text);
    if (has(op.uffd, UffdFlags::kEventFork) || has(op.uffd, UffdFlags::kEventRemap) ||
        has(op.uffd, UffdFlags::kEventUnmap) || has(op.uffd, UffdFlags::kEventRemove))
      need(Need::kUserfaultEvents, text);
    if (has(op.uffd, UffdFlags::kWpUnpopulated)) need(Need::kUserfaultUnpopulated, text);
    if (is_shared(op.place) && has(op.uffd, UffdFlags::kWriteProtect)) need(Need::kUserfaultWpFile, text);
  }

  /// Or a file's.
  [[nodiscard]] bool is_shared(const litmus::Place& place) const {
    return live::is_shared(program_.variables[place.variable]);
  }

  void look_at_advice(Advice advice, const std::string& text) {
    switch (advice) {
      case Advice::kPopulateRead:
      case Advice::kPopulateWrite:
        return need(Need::kPopulate, text);
      case Advice::kCold:
      case Advice::kFree:
        return need(Need::kColdPages, text);
      case Advice::kCollapse:
        return need(Need::kCollapse, text);
      case Advice::kPageOut:
        return use_swap(text);
      case Advice::kMergeable:
      case Advice::kUnmergeable:
        // What is merged, and when, is the test's to say.
        return use_merging(text);
      default:
        return;
    }
  }

  void use_swap(const std::string& text) {
    need(Need::kSwap, text);
    need(Need::kPageFrames, text);
    plan_.uses.swap = true;
  }

  void use_merging(const std::string& text) {
    need(Need::kKsm, text);
    plan_.uses.merging = true;
    if (program_.page_count() > 2) note("KSM merges all pages that hold the same and may be merged, not two alone");
  }

  void use(const Operation& op, Way way, std::size_t pages, const std::string& text) {
    const bool of_all = !moves_once(way) && way != Way::kPipe;
    if (has_handler_ && plan_.uses.huge && of_all) {
      return skip("a quarter of a huge page is 128 pages, of which a handler may be asked for some", text);
    }
    DevicePlan& device = plan_.devices[op.device];
    if (device.way != Way::kNone && device.way != way) skip("one device by two ways", text);
    device.way = way;
    device.pages = std::max(device.pages, pages);
  }

  [[nodiscard]] bool here(Need need) const { return offers_[static_cast<std::size_t>(need)].here; }

  /// A dirty page that a file system has not heard of was a BUG there once.
  void look_at_disk_page(const Operation& op, const std::string& text) {
    const litmus::Variable& variable = program_.variables[op.place.variable];
    if (is_disks(variable)) need(Need::kDiskPins, text);
  }

  /// Whether who writes it writes a disk's file.
  [[nodiscard]] bool is_disks(const litmus::Variable& variable) const {
    return variable.shared && variable.kind == litmus::VariableKind::kFile &&
           program_.files[variable.file].kind == litmus::FileKind::kDisk;
  }

  void look_at_pin(const Operation& op, const std::string& text) {
    const bool writes = has(op.pin_flags, PinFlags::kWrite);
    if (writes) look_at_disk_page(op, text);
    const bool long_term = has(op.pin_flags, PinFlags::kLongTerm);
    if (has(op.pin_flags, PinFlags::kForce)) return look_at_forced_pin(op, text);
    if (has(op.pin_flags, PinFlags::kNoFault)) return skip("no interface holds a page with FOLL_NOFAULT", text);
    const Way direct = writes ? Way::kDirectRead : Way::kDirectWrite;
    if (has(op.pin_flags, PinFlags::kGet)) {
      if (long_term) return;
      if (writes) {
        if (here(Need::kDirectPins))
          return skip("nothing holds a page by get for writing: O_DIRECT pins since 6.5", text);
        return use_direct(op, direct, text);
      }
      need(Need::kVmsplice, text);
      if (op.times * op.place.pages > kMostSpliced) return skip("more references than a pipe holds", text);
      return use(op, Way::kPipe, std::size_t{op.times} * op.place.pages, text);
    }
    const bool of_disk = is_disks(program_.variables[op.place.variable]);
    switch (pin_by_) {
      case PinBy::kCard:
        if (!long_term && (of_disk || !writes)) return skip("a card holds pages for long", text);
        return use_card(op, text);
      case PinBy::kCopy:
        return use_copy(op, text);
      case PinBy::kRdma:
        return long_term || writes ? use_rdma(op, text) : skip("memory is registered for long", text);
      case PinBy::kRing:
        return writes ? use_ring(op, text) : skip("io_uring pins for writing alone", text);
      case PinBy::kClosest:
        break;
    }
    if (!long_term && here(Need::kDirectIo) && here(Need::kDirectPins) && beyond_direct(op).empty()) {
      return use_direct(op, direct, text);
    }
    if (!long_term && here(Need::kHeldCopy) && beyond_copy(op).empty()) return use_copy(op, text);
    if (writes) return use_ring(op, text);
    if (long_term) return use_long_reader(op, text);
    if (!here(Need::kDirectPins)) return skip("nothing pins for reading: O_DIRECT does since 6.5", text);
    use_direct(op, direct, text);
  }

  void use_ring(const Operation& op, const std::string& text) {
    need(Need::kIoUring, text);
    if (op.times > kMostBuffers) return skip("more references than an io_uring holds", text);
    if (!has(op.pin_flags, PinFlags::kLongTerm)) {
      if (is_disks(program_.variables[op.place.variable])) {
        return skip("fixed buffers are held for long, as no page of a disk is since 6.5", text);
      }
      note(fmt::format("{} pins long-term here: fixed buffers always do", program_.devices[op.device]));
    }
    use(op, Way::kRing, op.place.pages, text);
  }

  /// Why O_DIRECT cannot hold the pages; empty where it can.
  [[nodiscard]] std::string beyond_direct(const Operation& op) const {
    if (op.place.pages > 1 && (plan_.uses.huge || plan_.uses.pool != 0)) {
      return "a transfer is of one part of a huge page";
    }
    return beyond_one_transfer(program_, op.device);
  }

  /// The same of process_vm_readv() and process_vm_writev(), which take no page without locks.
  [[nodiscard]] std::string beyond_copy(const Operation& op) const {
    if (op.place.pages > 1 && (plan_.uses.huge || plan_.uses.pool != 0)) {
      return "a transfer is of one part of a huge page";
    }
    if (has(op.pin_flags, PinFlags::kFast)) return "a copy to or from a process takes no page fast";
    if (has_handler_) return "a copy waits for its own side, and not for another handler";
    return beyond_one_transfer(program_, op.device, AtExec::kGoesOn);
  }

  void use_copy(const Operation& op, const std::string& text) {
    need(Need::kHeldCopy, text);
    if (const std::string reason = beyond_copy(op); !reason.empty()) return skip(reason, text);
    use(op, has(op.pin_flags, PinFlags::kWrite) ? Way::kCopyIn : Way::kCopyOut, op.place.pages, text);
  }

  void use_gup_test(const Operation& op, const std::string& text) {
    if (!here(Need::kGupTest)) return skip("a long-term pin for reading needs CONFIG_GUP_TEST, RDMA or a card", text);
    const bool taken = std::any_of(plan_.devices.begin(), plan_.devices.end(), [&](const DevicePlan& device) {
      return device.way == Way::kGupTest && &device != &plan_.devices[op.device];
    });
    if (taken || op.times != 1) return skip("gup_test holds pages once, for one device", text);
    use(op, Way::kGupTest, op.place.pages, text);
  }

  void use_long_reader(const Operation& op, const std::string& text) {
    if (here(Need::kGupTest)) return use_gup_test(op, text);
    if (here(Need::kRdma) && here(Need::kRdmaReads)) return use_rdma(op, text);
    return here(Need::kCuda) ? use_card(op, text) : use_gup_test(op, text);
  }

  /// Before Linux 6.2 what is registered for reading is pinned for writing, by force.
  void look_at_forced_pin(const Operation& op, const std::string& text) {
    const bool may_be_rdma = pin_by_ == PinBy::kRdma || pin_by_ == PinBy::kClosest;
    if (!may_be_rdma || !here(Need::kRdma) || here(Need::kRdmaReads) || !has(op.pin_flags, PinFlags::kWrite)) {
      return skip("nothing holds a page with FOLL_FORCE; before 6.2 memory that RDMA only reads is held so", text);
    }
    for (const litmus::Block& block : program_.blocks) {
      for (const Operation& other : block.operations) {
        if (other.code == OpCode::kDmaWrite && other.device == op.device) {
          return skip("what is held with FOLL_FORCE by RDMA is only read", text);
        }
      }
    }
    use_rdma(op, text);
  }

  void use_rdma(const Operation& op, const std::string& text) {
    need(Need::kRdma, text);
    if (!has(op.pin_flags, PinFlags::kWrite)) need(Need::kRdmaReads, text);
    if (op.times > kMostRegistrations) return skip("more registrations than are kept track of", text);
    if (!has(op.pin_flags, PinFlags::kLongTerm)) {
      if (is_disks(program_.variables[op.place.variable])) {
        return skip("memory is registered for long, as no page of a disk is since 6.5", text);
      }
      note(fmt::format("{} pins long-term here: registrations always do", program_.devices[op.device]));
    }
    plan_.uses.rdma = true;
    use(op, Way::kRdma, op.place.pages, text);
  }

  void use_card(const Operation& op, const std::string& text) {
    need(Need::kCuda, text);
    if (const std::string reason = beyond_a_card(program_, op.device); !reason.empty()) return skip(reason, text);
    note(fmt::format("{} holds as the card's driver does: long-term, by pin or, in old ones, by get",
                     program_.devices[op.device]));
    use(op, Way::kCard, op.place.pages, text);
  }

  void use_direct(const Operation& op, Way way, const std::string& text) {
    need(Need::kDirectIo, text);
    if (const std::string reason = beyond_direct(op); !reason.empty()) return skip(reason, text);
    use(op, way, op.place.pages, text);
  }

  const litmus::Program& program_;
  const Offers& offers_;
  PinBy pin_by_;
  /// Whether userfaultfd's handler is in the test.
  bool has_handler_;
  Plan plan_;
};

}  // namespace

Plan plan(const litmus::Program& program, const Offers& offers, PinBy pin_by) {
  return Planner(program, offers, pin_by).make();
}

}  // namespace cowherd::live
