#pragma once

#include <cstdint>
#include <cstdlib>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "check/reference.hpp"

namespace cowherd::check {

/// Tells a Reference what overlapped, in words: "1 begins dontneed 0; 2 store 0 5; 1 ends; 2 load 0 = 5".
///
/// Agents 0 to 3 are threads of process 0, 4 to 7 of process 4, which `fork` gives the child of 0. Device 0 belongs to
/// whoever names it. Places are PAGE or PAGE.WORD or PAGE+COUNT. A step is `AGENT VERB …` for an operation in one
/// piece, `AGENT begins VERB …` and `AGENT ends` for one that others overlap; then `= VALUE` or `= ENAME`, and
/// `short`. For test code only: what makes no sense ends the program.
class Overlap {
 public:
  Overlap() { reference_.spawn(0); }

  /// The verdicts of the steps that were not allowed, each with its step.
  std::string tell(const std::string& story) {
    std::string complaints;
    std::istringstream in(story);
    for (std::string step; std::getline(in, step, ';');) {
      const spec::Judgement judgement = tell_step(step);
      if (!judgement.ok()) {
        complaints += step.substr(step.find_first_not_of(' ')) + ": " + spec::name_of(judgement.broken) + " " +
                      spec::label_of(judgement.harm) + "\n";
      }
      // A state is what its bytes say.
      const std::vector<std::byte> bytes(reference_.bytes().begin(), reference_.bytes().end());
      reference_.assign(bytes);
    }
    return complaints;
  }

  Reference& reference() { return reference_; }

 private:
  static std::uint8_t small(const std::string& text) { return static_cast<std::uint8_t>(std::stoi(text)); }

  spec::Judgement tell_step(const std::string& step) {
    std::istringstream in(step);
    std::vector<std::string> words;
    for (std::string word; in >> word;) words.push_back(word);
    if (words.empty()) return {};
    spec::Observation seen;
    if (words.back() == "short") {
      seen.short_of_memory = true;
      words.pop_back();
    }
    if (words.size() > 2 && words[words.size() - 2] == "=") {
      observe(seen, words.back());
      words.resize(words.size() - 2);
    }
    const std::uint8_t agent = small(words.at(0));
    if (words.at(1) == "ends") return reference_.complete(agent, seen);
    if (words.at(1) == "gives-up") {
      reference_.abandon(agent);
      return {};
    }
    const bool begins = words.at(1) == "begins";
    if (begins) words.erase(words.begin() + 1);
    const Call call = call_of(agent, words);
    if (!begins) return reference_.run(agent, call, seen);
    reference_.begin(agent, call);
    return {};
  }

  static void observe(spec::Observation& seen, const std::string& text) {
    static const std::map<std::string, Errno> errors = {{"ENOMEM", Errno::kNoMemory}, {"EFAULT", Errno::kFault},
                                                        {"EEXIST", Errno::kExist},    {"EBUSY", Errno::kBusy},
                                                        {"SIGSEGV", Errno::kSigSegv}, {"ESRCH", Errno::kNoProcess}};
    if (const auto error = errors.find(text); error != errors.end()) {
      seen.error = error->second;
    } else {
      seen.value = std::stoll(text);
    }
  }

  static void place(Call& call, const std::string& text) {
    call.page = small(text);
    if (const auto dot = text.find('.'); dot != std::string::npos) call.word = small(text.substr(dot + 1));
    if (const auto plus = text.find('+'); plus != std::string::npos) call.count = small(text.substr(plus + 1));
  }

  static Protection protection(const std::string& text) {
    if (text == "none") return Protection::kNone;
    if (text == "r") return Protection::kRead;
    if (text == "rw") return Protection::kReadWrite;
    std::abort();
  }

  static PinFlags pin_flags(const std::string& text) {
    if (text == "write") return PinFlags::kWrite | PinFlags::kLongTerm;
    if (text == "long") return PinFlags::kLongTerm;
    if (text == "read") return PinFlags::kNone;
    std::abort();
  }

  static Call call_of(std::uint8_t agent, const std::vector<std::string>& words) {
    using Kind = Call::Kind;
    static const std::map<std::string, Kind> kinds = {
        {"load", Kind::kRead},        {"store", Kind::kWrite},      {"map", Kind::kMmap},
        {"unmap", Kind::kMunmap},     {"protect", Kind::kMprotect}, {"dontneed", Kind::kMadvise},
        {"populate", Kind::kMadvise}, {"dontfork", Kind::kMadvise}, {"fork", Kind::kFork},
        {"exec", Kind::kExec},        {"exit", Kind::kExit},        {"pin", Kind::kPin},
        {"unpin", Kind::kUnpin},      {"dma-read", Kind::kDmaRead}, {"dma-write", Kind::kDmaWrite},
        {"restore", Kind::kRestore},  {"peek", Kind::kForceRead},   {"poke", Kind::kForceWrite},
        {"nothing", Kind::kNothing}};
    const std::string& verb = words.at(1);
    Call call{.kind = kinds.at(verb), .process = static_cast<std::uint8_t>(agent < 4 ? 0 : 4), .child = 4};
    const auto word = [&](std::size_t i) { return i < words.size() ? words[i] : std::string(); };
    if (words.size() > 2) place(call, word(2));
    call.advice =
        verb == "populate" ? Advice::kPopulateRead : (verb == "dontfork" ? Advice::kDontFork : Advice::kDontNeed);
    if (verb == "map" || verb == "protect") call.protection = protection(word(3));
    if (verb == "map" && word(4) == "noreplace") call.map_flags = MapFlags::kFixedNoReplace;
    if (verb == "pin") call.pin_flags = pin_flags(word(3));
    if (verb == "store" || verb == "dma-write" || verb == "poke") call.value = std::stoll(word(3));
    // From outside: the memory is another process's.
    if (verb == "pin" || verb == "peek" || verb == "poke") call.process = 0;
    return call;
  }

  Reference reference_;
};

}  // namespace cowherd::check
