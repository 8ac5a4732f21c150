#include "live/plan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "litmus/condition.hpp"
#include "litmus/printer.hpp"
#include "live/known.hpp"
#include "live/one_transfer.hpp"

namespace cowherd::live {
namespace {

using litmus::OpCode;
using litmus::Operation;

/// IORING_REGISTER_BUFFERS takes no more at once.
constexpr std::uint32_t kMostBuffers = 1u << 14;
/// Pages in a pipe that F_SETPIPE_SZ gives without privilege.
constexpr std::uint32_t kMostSpliced = 256;

class Planner {
 public:
  Planner(const litmus::Program& program, const Offers& offers) : program_(program), offers_(offers) {
    plan_.devices.resize(program.devices.size());
  }

  Plan make() && {
    for (const litmus::Variable& variable : program_.variables) refuse(refusal_of(variable), variable.name);
    for (const litmus::Term& term : litmus::observed_terms(program_)) look_at_term(term);
    for (std::size_t b = 0; b < program_.blocks.size(); ++b) {
      for (const Operation& op : program_.blocks[b].operations) look_at(b, op);
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

  void look_at_term(const litmus::Term& term) {
    const std::string text = litmus::print_term(program_, term);
    refuse(refusal_of(term), text);
    switch (term.kind) {
      case litmus::Term::Kind::kFrame:
        return need(Need::kPageFrames, text);
      case litmus::Term::Kind::kMapcount:
      case litmus::Term::Kind::kRss:
        need(Need::kPageFrames, text);
        return need(Need::kPageCounts, text);
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
    switch (op.code) {
      case OpCode::kPin:
        return look_at_pin(op, text);
      case OpCode::kPtraceRead:
      case OpCode::kPtraceWrite:
        return need(Need::kProcMem, text);
      case OpCode::kClearRefs:
        return need(Need::kClearRefs, text);
      case OpCode::kMadvise:
        if (op.advice == Advice::kPopulateRead || op.advice == Advice::kPopulateWrite) need(Need::kPopulate, text);
        return;
      default:
        return;
    }
  }

  void use(const Operation& op, Way way, std::size_t pages, const std::string& text) {
    DevicePlan& device = plan_.devices[op.device];
    if (device.way != Way::kNone && device.way != way) skip("one device by two ways", text);
    device.way = way;
    device.pages = std::max(device.pages, pages);
  }

  [[nodiscard]] bool here(Need need) const { return offers_[static_cast<std::size_t>(need)].here; }

  void look_at_pin(const Operation& op, const std::string& text) {
    const bool writes = has(op.pin_flags, PinFlags::kWrite);
    const bool long_term = has(op.pin_flags, PinFlags::kLongTerm);
    if (has(op.pin_flags, PinFlags::kForce)) return skip("no interface holds a page with FOLL_FORCE", text);
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
    if (!writes) {
      if (long_term) return skip("a long-term pin for reading needs CONFIG_GUP_TEST or a network card", text);
      if (!here(Need::kDirectPins)) return skip("nothing pins for reading: O_DIRECT does since 6.5", text);
      return use_direct(op, direct, text);
    }
    if (!long_term && here(Need::kDirectIo) && here(Need::kDirectPins) &&
        beyond_one_transfer(program_, op.device).empty()) {
      return use_direct(op, direct, text);
    }
    need(Need::kIoUring, text);
    if (op.times > kMostBuffers) return skip("more references than an io_uring holds", text);
    if (!long_term) {
      note(fmt::format("{} pins long-term here: fixed buffers always do", program_.devices[op.device]));
    }
    use(op, Way::kRing, op.place.pages, text);
  }

  void use_direct(const Operation& op, Way way, const std::string& text) {
    need(Need::kDirectIo, text);
    if (const std::string reason = beyond_one_transfer(program_, op.device); !reason.empty()) return skip(reason, text);
    use(op, way, 1, text);
  }

  const litmus::Program& program_;
  const Offers& offers_;
  Plan plan_;
};

}  // namespace

Plan plan(const litmus::Program& program, const Offers& offers) { return Planner(program, offers).make(); }

}  // namespace cowherd::live
