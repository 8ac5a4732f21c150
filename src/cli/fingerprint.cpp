#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "check/check.hpp"
#include "cli/live_run.hpp"
#include "cli/output.hpp"
#include "cli/running_kernel.hpp"
#include "cli/telling_tests.hpp"
#include "cli/verbs.hpp"
#include "litmus/condition.hpp"
#include "live/plan.hpp"
#include "live/rdma_netlink.hpp"
#include "live/stage.hpp"

namespace cowherd::cli {
namespace {

using report::ExitStatus;

/// Every way that a test can end, in one text.
std::string ways_in_one_text(const litmus::Program& program, const check::CheckResult& result) {
  std::string text;
  for (const check::Outcome& outcome : result.outcomes) {
    text += (text.empty() ? "" : " | ") + litmus::format_state(program, result.observed, outcome.values);
  }
  return text;
}

/// A test, what each rule set makes of it, and what the kernel did.
struct Question {
  const TellingTest* test = nullptr;
  litmus::Program program;
  live::Plan plan;
  /// By number of the rule set.
  std::vector<std::string> ways;
  bool asked = false;
  std::string answer;
  /// What broke; empty: nothing.
  std::string broken;
  /// Why there is no answer.
  std::string missing;
};

std::vector<RuleChoice> linux_rows() {
  std::vector<RuleChoice> rows;
  for (RuleChoice& row : every_row()) {
    if (row.row->id.starts_with('R')) rows.push_back(std::move(row));
  }
  return rows;
}

class Fingerprint {
 public:
  Fingerprint() : rows_(linux_rows()), offers_(live::probe()) {
    for (std::size_t i = 0; i < rows_.size(); ++i) left_.insert(i);
    for (const TellingTest& test : telling_tests()) {
      Question& question = questions_.emplace_back();
      question.test = &test;
      question.program = program_of(test, offer(live::Need::kDirectPins).here);
      question.plan = live::plan(question.program, offers_, pin_by(test));
      question.missing = question.plan.skip;
      // Another way to hold the page would answer another question.
      const bool by_other_way = test.interface == "odirect" && !live::is_direct(question.plan.devices[0].way);
      if (question.missing.empty() && by_other_way) {
        question.missing = fmt::format("needs direct-io: {}", offer(live::Need::kDirectIo).found);
      }
      foretell(question);
    }
  }

  /// The test that divides the rule sets that are left best, until none does; then those that nobody needed for it.
  void ask_all() {
    while (Question* question = most_telling()) {
      ask(*question);
      if (!question->answer.empty()) needed_.push_back(question->test->name);
    }
    for (Question& question : questions_) {
      if (!question.asked && question.missing.empty()) ask(question);
    }
  }

  [[nodiscard]] const std::vector<Question>& questions() const { return questions_; }
  [[nodiscard]] const std::vector<std::string_view>& needed() const { return needed_; }
  [[nodiscard]] std::vector<const RuleRow*> rows() const {
    std::vector<const RuleRow*> rows;
    for (const std::size_t i : left_) rows.push_back(rows_[i].row);
    return rows;
  }
  [[nodiscard]] std::size_t all_rows() const { return rows_.size(); }
  /// The graphics card, or why there is none.
  [[nodiscard]] const std::string& card() const { return offer(live::Need::kCuda).found; }
  /// The RDMA device, or why there is none.
  [[nodiscard]] const std::string& rdma() const { return offer(live::Need::kRdma).found; }
  /// What rdma-core asks, and goes by. No value where there is no RDMA in the kernel.
  [[nodiscard]] std::optional<bool> copies_on_fork() const { return live::says_copy_on_fork(); }

 private:
  static live::PinBy pin_by(const TellingTest& test) {
    if (test.interface == "rdma") return live::PinBy::kRdma;
    return test.interface == "cuda" ? live::PinBy::kCard : live::PinBy::kClosest;
  }

  /// What a card's driver takes is no matter of the kernel's version, and what RDMA takes was another reference once.
  static bool tells_kernels_apart(const Question& question) {
    return question.test->interface != "cuda" && question.test->interface != "rdma";
  }

  [[nodiscard]] const live::Offer& offer(live::Need need) const { return offers_[static_cast<std::size_t>(need)]; }

  void foretell(Question& question) const {
    if (!question.missing.empty() || !tells_kernels_apart(question)) return;
    for (const RuleChoice& row : rows_) {
      check::CheckOptions options;
      options.rules = row.rules;
      options.explain = false;
      options.minimise = false;
      question.ways.push_back(ways_in_one_text(question.program, check::check(question.program, options)));
    }
  }

  /// Null where no test divides them.
  Question* most_telling() {
    Question* best = nullptr;
    std::size_t largest = left_.size();
    for (Question& question : questions_) {
      if (question.asked || !question.missing.empty() || !tells_kernels_apart(question)) continue;
      std::map<std::string, std::size_t> parts;
      for (const std::size_t row : left_) ++parts[question.ways[row]];
      std::size_t part = 0;
      for (const auto& [ways, count] : parts) part = std::max(part, count);
      if (part >= largest) continue;
      largest = part;
      best = &question;
    }
    return best;
  }

  void ask(Question& question) {
    question.asked = true;
    live::Stage stage(work_);
    question.missing = stage.open(question.program, question.plan.devices, question.plan.uses);
    if (!question.missing.empty()) return;
    const check::CheckResult result = run_live(question.program, stage, "live", {});
    question.missing = result.error;
    if (!question.missing.empty()) return;
    question.answer = ways_in_one_text(question.program, result);
    if (!result.findings.empty()) {
      question.broken = fmt::format("{}: {}", check::name_of(result.findings[0].kind), result.findings[0].subtype);
    }
    if (!tells_kernels_apart(question)) return;
    std::set<std::size_t> agree;
    for (const std::size_t row : left_) {
      if (question.ways[row] == question.answer) agree.insert(row);
    }
    left_ = std::move(agree);
  }

  std::vector<RuleChoice> rows_;
  live::KernelWork work_;
  live::Offers offers_;
  std::set<std::size_t> left_;
  std::vector<Question> questions_;
  std::vector<std::string_view> needed_;
};

/// What the tests of one interface came to.
struct Safety {
  std::size_t asked = 0;
  std::size_t broken = 0;
  std::string missing;
};

Safety safety_of(const Fingerprint& fingerprint, std::string_view interface) {
  Safety safety;
  for (const Question& question : fingerprint.questions()) {
    if (question.test->interface != interface) continue;
    if (!question.missing.empty()) {
      safety.missing = question.missing;
      continue;
    }
    ++safety.asked;
    safety.broken += question.broken.empty() ? 0 : 1;
  }
  return safety;
}

std::string answer_about_pins(const Safety& pins) {
  if (pins.asked == 0) return fmt::format("Not known: no way to pin memory here: {}.\n", pins.missing);
  if (pins.broken == 0) {
    return "Yes, for private anonymous memory in base pages and interfaces that pin: io_uring fixed buffers, which "
           "were\n"
           "tried, and what takes the same reference (VFIO registration, and RDMA, below). Device and owner see each\n"
           "other's writes after fork, whatever the child does. For these, MADV_DONTFORK is not needed. Huge pages,\n"
           "shared and file memory were not tried.\n";
  }
  return fmt::format(
      "No: {} of {} tests lost data with io_uring fixed buffers in private anonymous memory. Keep MADV_DONTFORK on\n"
      "memory that a device holds, or do not fork.\n",
      pins.broken, pins.asked);
}

/// Whether a reader kept the contents of before the owner's write; nothing is promised to it, so that breaks nothing.
bool reader_is_left_behind(const Fingerprint& fingerprint) {
  const auto at = std::find_if(fingerprint.questions().begin(), fingerprint.questions().end(),
                               [](const Question& question) { return question.test->name == "get-fork-write"; });
  return at != fingerprint.questions().end() && at->answer.find("0:r0=1;") != std::string::npos;
}

std::string answer_about_transfers(const Safety& transfers) {
  if (transfers.asked == 0) return fmt::format("Not known: {}.\n", transfers.missing);
  if (transfers.broken == 0) {
    return "Yes, for private anonymous memory in base pages, tried with O_DIRECT on a loop device.\n";
  }
  return fmt::format(
      "No: {} of {} tests lost data. Do not fork, or put MADV_DONTFORK on the memory, while O_DIRECT is under way.\n",
      transfers.broken, transfers.asked);
}

std::string answer_about_cards(const Safety& cards, const std::string& card) {
  if (cards.asked == 0) return fmt::format("Not known: {}.\n", cards.missing);
  if (cards.broken == 0) {
    return fmt::format(
        "Yes, for private anonymous memory in base pages, tried by loads and stores of the card itself\n({}).\n"
        "What a child of fork must not use is CUDA: the card is its parent's.\n",
        card);
  }
  return fmt::format("No: {} of {} tests lost data ({}). Keep MADV_DONTFORK on registered memory, or do not fork.\n",
                     cards.broken, cards.asked, card);
}

/// What rdma-core makes of ibv_fork_init() and ibv_is_fork_initialized() here (from its version 35 on).
std::string fork_init_in_words(std::optional<bool> copies_on_fork) {
  if (!copies_on_fork) {
    return "This kernel has no RDMA: it says nothing to rdma-core about ibv_fork_init().\n";
  }
  if (*copies_on_fork) {
    return "The kernel says so too (RDMA_NLDEV_SYS_ATTR_COPY_ON_FORK): rdma-core's ibv_fork_init() does nothing here, "
           "and\n"
           "ibv_is_fork_initialized() is IBV_FORK_UNNEEDED.\n";
  }
  return "The kernel does not say that fork copies (RDMA_NLDEV_SYS_ATTR_COPY_ON_FORK): ibv_fork_init() has rdma-core "
         "put\n"
         "MADV_DONTFORK on all that is registered.\n";
}

std::string answer_about_rdma(const Safety& rdma, const Safety& pins, const Fingerprint& fingerprint) {
  const std::string fork_init = fork_init_in_words(fingerprint.copies_on_fork());
  if (rdma.asked == 0) {
    const bool as_pins = pins.asked != 0 && pins.broken == 0;
    return fmt::format("Not tried: {}.\n{}{}", rdma.missing,
                       as_pins ? "A registration takes the same reference as the fixed buffers of io_uring, which were "
                                 "kept.\n"
                               : "",
                       fork_init);
  }
  if (rdma.broken == 0) {
    return fmt::format(
        "Yes, for private anonymous memory in base pages, tried by RDMA READ and RDMA WRITE ({}).\n"
        "Neither ibv_fork_init() nor MADV_DONTFORK is needed. Memory whose pages a driver does not take by\n"
        "ib_umem_get() was not tried.\n{}",
        fingerprint.rdma(), fork_init);
  }
  return fmt::format(
      "No: {} of {} tests lost data ({}). Keep ibv_fork_init(), or MADV_DONTFORK on registered memory, or do not "
      "fork.\n{}",
      rdma.broken, rdma.asked, fingerprint.rdma(), fork_init);
}

std::string answer_about_gets(const Safety& gets, bool left_behind) {
  if (gets.asked == 0) return fmt::format("Not known: {}.\n", gets.missing);
  std::string text =
      gets.broken == 0
          ? "No reader by vmsplice saw what was not its owner's.\n"
          : fmt::format("No: in {} of {} tests a reader by vmsplice saw what it must not.\n", gets.broken, gets.asked);
  if (!left_behind) return text;
  return text +
         "After a fork, such a reader keeps the old contents when the owner writes: do not write, or do not fork, "
         "while it\n"
         "holds the page, or put MADV_DONTFORK on it. Linux promises no more to references that are not pins\n"
         "(Documentation/core-api/pin_user_pages.rst).\n";
}

std::string rows_in_words(const Fingerprint& fingerprint) {
  const std::vector<const RuleRow*> rows = fingerprint.rows();
  if (rows.empty()) return "none of the known ones";
  std::string text;
  for (const RuleRow* row : rows) text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", row->id, row->kernels);
  return text;
}

std::string as_text(const std::string& release, const Fingerprint& fingerprint) {
  const RuleChoice said = rules_of_release(release);
  std::string text = fmt::format("Linux {}", release);
  if (said.row != nullptr) text += fmt::format(", said to behave as {} ({})", said.row->id, said.row->kernels);
  text += fmt::format("\nBehaves as: {}\n", rows_in_words(fingerprint));
  text +=
      fmt::format("Told from the other {} rule sets by {} test{}:", fingerprint.all_rows() - fingerprint.rows().size(),
                  fingerprint.needed().size(), fingerprint.needed().size() == 1 ? "" : "s");
  for (const std::string_view name : fingerprint.needed()) text += fmt::format(" {}", name);
  text += fmt::format("\n\n{:<19}{:<10}{:<25}{}\n", "test", "interface", "", "outcomes");
  for (const Question& question : fingerprint.questions()) {
    const std::string verdict = !question.missing.empty() ? "skipped"
                                : question.broken.empty() ? "kept"
                                                          : question.broken;
    text += fmt::format("{:<19}{:<10}{:<25}{}\n", question.test->name, question.test->interface, verdict,
                        question.missing.empty() ? question.answer : question.missing);
  }
  text += "\nIs fork safe with memory that a device has pinned?\n" + answer_about_pins(safety_of(fingerprint, "pin"));
  text += "\nIs fork safe with memory that is registered for RDMA, and is ibv_fork_init() still needed?\n" +
          answer_about_rdma(safety_of(fingerprint, "rdma"), safety_of(fingerprint, "pin"), fingerprint);
  text += "\nIs fork safe while O_DIRECT is under way?\n" + answer_about_transfers(safety_of(fingerprint, "odirect"));
  text += "\nIs fork safe with memory that CUDA has registered?\n" +
          answer_about_cards(safety_of(fingerprint, "cuda"), fingerprint.card());
  text += "\nIs fork safe with memory that is held by ordinary references (get)?\n" +
          answer_about_gets(safety_of(fingerprint, "get"), reader_is_left_behind(fingerprint));
  return text;
}

nlohmann::ordered_json json_of(const Safety& safety) {
  nlohmann::ordered_json json = {{"tests", safety.asked}, {"broken", safety.broken}};
  json["safe"] = safety.asked == 0 ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(safety.broken == 0);
  if (!safety.missing.empty()) json["missing"] = safety.missing;
  return json;
}

std::string as_json(const std::string& release, const Fingerprint& fingerprint) {
  nlohmann::ordered_json json = {{"schema", 1}, {"type", "fingerprint"}, {"kernel", release}};
  const RuleChoice said = rules_of_release(release);
  if (said.row != nullptr) json["said"] = said.row->id;
  json["rows"] = nlohmann::ordered_json::array();
  for (const RuleRow* row : fingerprint.rows()) json["rows"].push_back(row->id);
  json["needed"] = fingerprint.needed();
  json["tests"] = nlohmann::ordered_json::array();
  for (const Question& question : fingerprint.questions()) {
    nlohmann::ordered_json test = {
        {"name", question.test->name}, {"interface", question.test->interface}, {"promise", question.test->promise}};
    if (!question.missing.empty()) {
      test["missing"] = question.missing;
    } else {
      test["outcomes"] = question.answer;
      test["broken"] = question.broken;
    }
    json["tests"].push_back(std::move(test));
  }
  json["pin"] = json_of(safety_of(fingerprint, "pin"));
  json["odirect"] = json_of(safety_of(fingerprint, "odirect"));
  json["rdma"] = json_of(safety_of(fingerprint, "rdma"));
  json["rdma"]["device"] = fingerprint.rdma();
  const std::optional<bool> copies = fingerprint.copies_on_fork();
  json["rdma"]["kernel_says_copy_on_fork"] = copies ? nlohmann::ordered_json(*copies) : nlohmann::ordered_json(nullptr);
  json["cuda"] = json_of(safety_of(fingerprint, "cuda"));
  json["cuda"]["card"] = fingerprint.card();
  json["get"] = json_of(safety_of(fingerprint, "get"));
  json["get"]["keeps_old_contents"] = reader_is_left_behind(fingerprint);
  return json.dump() + '\n';
}

}  // namespace

ExitStatus run_fingerprint(const FingerprintArguments& arguments) {
  Fingerprint fingerprint;
  fingerprint.ask_all();
  const std::string release = live::kernel_release();
  const std::string text = arguments.json ? as_json(release, fingerprint) : as_text(release, fingerprint);
  if (!write_file(arguments.output, text)) return ExitStatus::kInput;
  const bool asked = std::any_of(fingerprint.questions().begin(), fingerprint.questions().end(),
                                 [](const Question& question) { return question.asked && question.missing.empty(); });
  return asked ? ExitStatus::kExpected : ExitStatus::kSkipped;
}

}  // namespace cowherd::cli
