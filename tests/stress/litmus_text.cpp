#include "stress/litmus_text.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "litmus/spelling.hpp"

namespace cowherd::stress {

namespace {

constexpr std::size_t kMostOfAKind = 2;
/// What caused a finding may have ended some operations before what is missing began.
constexpr Tick kBefore = 40;
constexpr std::size_t kMostBlocks = 8;

/// A block in the making: what one thread did in one address space, or all that was done in a child.
struct Block {
  Life life;
  std::vector<const Record*> records;
};

class Writer {
 public:
  Writer(const Finding& finding, std::optional<Oracle::Birth> birth, std::span<const Log> round)
      : finding_(finding), root_(finding.culprit.life), round_(round) {
    // A child that began within the story belongs into it with its parent.
    if (birth && birth->fork.end >= finding.since) {
      root_ = birth->parent;
      since_ = std::min(finding.since, birth->fork.begin);
    } else {
      since_ = finding.since;
    }
    since_ -= std::min(since_, kBefore);
    choose_lives();
    choose_records();
  }

  std::string text(std::string_view name, std::string_view rules) {
    std::string blocks;
    for (std::size_t i = 0; i < blocks_.size(); ++i) blocks += block_text(i);
    std::string text = "COW " + std::string(name) + "\n";
    text += "\"Made from a failed stress run under " + std::string(rules) + "\"\n";
    text += "(* Grain: step *)\n{\n  x = anon(1);\n";
    for (std::size_t i = 0; i < devices_.size(); ++i) text += "  d" + std::to_string(i) + " = device;\n";
    return text + "}\n" + blocks;
  }

 private:
  [[nodiscard]] bool in_story(const Record& record) const {
    return record.ok() && record.touches(finding_.page) && record.when.end >= since_ &&
           record.when.begin <= finding_.culprit.when.end && record.action != Action::kPopulate &&
           record.action != Action::kReclaim && record.action != Action::kCollapse && record.action != Action::kSplit;
  }

  void choose_lives() {
    lives_ = {root_};
    for (const Log& log : round_) {
      for (const Record& record : log) {
        if (record.action == Action::kFork && record.life == root_ && in_story(record)) lives_.insert(record.other);
      }
    }
  }

  /// Done to an address space by somebody who need not live in it.
  static bool from_outside(Action action) {
    return action == Action::kPtraceRead || action == Action::kPtraceWrite || action == Action::kClearRefs ||
           action == Action::kTryShare || action == Action::kSwapOut || action == Action::kSwapIn;
  }

  void choose_records() {
    std::map<Life, std::size_t> child_blocks;
    for (const Log& log : round_) {
      Block own{root_, {}};
      for (const Record& record : log) {
        if (!in_story(record) || !lives_.contains(record.life)) continue;
        if (record.life == root_ || from_outside(record.action)) {
          own.records.push_back(&record);
        } else {
          children_[record.life].push_back(&record);
        }
      }
      keep_last(own.records);
      if (!own.records.empty()) blocks_.push_back(std::move(own));
    }
    if (blocks_.empty()) blocks_.push_back({root_, {}});
    threads_ = blocks_.size();
    for (const Life life : lives_) {
      if (life == root_ || blocks_.size() == kMostBlocks) continue;
      Block child{life, std::move(children_[life])};
      std::sort(child.records.begin(), child.records.end(),
                [](const Record* a, const Record* b) { return a->when.begin < b->when.begin; });
      keep_last(child.records);
      if (is_forked(life)) blocks_.push_back(std::move(child));
    }
  }

  static bool moves_bytes(Action action) {
    return action == Action::kRead || action == Action::kWrite || action == Action::kPtraceRead ||
           action == Action::kPtraceWrite || action == Action::kDmaRead || action == Action::kDmaWrite;
  }
  /// The last accesses, and the last of what changes pages and mappings.
  static void keep_last(std::vector<const Record*>& records) {
    std::size_t accesses = 0;
    std::size_t changes = 0;
    for (auto at = records.end(); at != records.begin();) {
      --at;
      if (++(moves_bytes((*at)->action) ? accesses : changes) > kMostOfAKind) at = records.erase(at);
    }
  }

  [[nodiscard]] bool is_forked(Life life) const {
    return std::any_of(blocks_.begin(), blocks_.end(), [&](const Block& block) {
      return std::any_of(block.records.begin(), block.records.end(), [&](const Record* record) {
        return record->action == Action::kFork && record->other == life;
      });
    });
  }

  std::string block_text(std::size_t number) {
    const Block& block = blocks_[number];
    std::string body;
    registers_ = 0;
    for (const Record* record : block.records) body += device_first(*record) + statement(*record);
    std::string head = "P" + std::to_string(number) + "()\n{\n";
    for (std::size_t i = 1; number == 0 && i < threads_; ++i) head += "  thread(P" + std::to_string(i) + ");\n";
    return head + body + "}\n";
  }

  /// A pin that was taken before the story began has to be taken in it.
  std::string device_first(const Record& record) {
    const bool uses = record.action == Action::kDmaRead || record.action == Action::kDmaWrite;
    if (!uses || devices_.contains(record.other)) return "";
    for (const Log& log : round_) {
      for (const Record& pin : log) {
        if (pin.action == Action::kPin && pin.other == record.other) return statement(pin);
      }
    }
    Record pin = record;
    pin.action = Action::kPin;
    pin.flags = PinFlags::kWrite | PinFlags::kLongTerm;
    return statement(pin);
  }

  std::string device(std::uint32_t pin) {
    return "d" + std::to_string(devices_.try_emplace(pin, devices_.size()).first->second);
  }
  std::string result() { return "r" + std::to_string(registers_++) + " = "; }
  std::string value(std::uint64_t written) {
    return std::to_string(values_.try_emplace(written, values_.size() + 2).first->second);
  }
  [[nodiscard]] std::string process_of(Life life) const {
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      if (blocks_[i].life == life) return "P" + std::to_string(i);
    }
    return "P0";
  }

  std::string statement(const Record& record) {
    const std::string word = record.word == 0 ? "" : "." + std::to_string(record.word);
    const std::string place = record.word == 0 ? "*x" : "x" + word;
    const std::string remote = process_of(record.life) + ":x" + word;
    return "  " + call(record, place, word, remote) + ";\n";
  }
  std::string call(const Record& record, const std::string& place, const std::string& word, const std::string& remote) {
    switch (record.action) {
      case Action::kRead:
        return result() + "READ_ONCE(" + place + ")";
      case Action::kWrite:
        return "WRITE_ONCE(" + place + ", " + value(record.value) + ")";
      case Action::kPtraceRead:
        return result() + "ptrace_read(" + remote + ")";
      case Action::kPtraceWrite:
        return "ptrace_write(" + remote + ", " + value(record.value) + ")";
      case Action::kPin:
        return (has(record.flags, PinFlags::kGet) ? "get(" : "pin(") + device(record.other) + ", x, " +
               litmus::text_of(record.flags) + ")";
      case Action::kUnpin:
        return (has(record.flags, PinFlags::kGet) ? "put(" : "unpin(") + device(record.other) + ")";
      case Action::kDmaRead:
        return result() + "dma_read(" + device(record.other) + word + ")";
      case Action::kDmaWrite:
        return "dma_write(" + device(record.other) + word + ", " + value(record.value) + ")";
      case Action::kFork:
        return "fork(" + process_of(record.other) + ")";
      case Action::kExit:
        return "exit()";
      case Action::kExec:
        return "exec()";
      case Action::kMap:
        return "mmap(x, PROT_READ | PROT_WRITE, MAP_FIXED)";
      case Action::kUnmap:
        return "munmap(x)";
      case Action::kProtect:
        return std::string("mprotect(x, ") + litmus::text_of(record.protection) + ")";
      case Action::kDiscard:
        return "madvise(x, MADV_DONTNEED)";
      case Action::kClearRefs:
        return "clear_refs(" + process_of(record.life) + ":x)";
      case Action::kTryShare:
        return "try_share(" + process_of(record.life) + ":x)";
      case Action::kSwapOut:
        return "swapout(" + process_of(record.life) + ":x)";
      case Action::kSwapIn:
        return "swapin(" + process_of(record.life) + ":x)";
      case Action::kPopulate:
      case Action::kReclaim:
      case Action::kCollapse:
      case Action::kSplit:
        break;
    }
    return "";
  }

  const Finding& finding_;
  Life root_;
  std::span<const Log> round_;
  Tick since_ = 0;
  std::set<Life> lives_;
  std::map<Life, std::vector<const Record*>> children_;
  std::vector<Block> blocks_;
  /// Blocks of the root's own threads, the first ones.
  std::size_t threads_ = 0;
  std::map<std::uint32_t, std::size_t> devices_;
  std::map<std::uint64_t, std::size_t> values_;
  unsigned registers_ = 0;
};

}  // namespace

std::string litmus_text(const Finding& finding, std::optional<Oracle::Birth> birth, std::span<const Log> round,
                        std::string_view name, std::string_view rules) {
  return Writer(finding, birth, round).text(name, rules);
}

}  // namespace cowherd::stress
