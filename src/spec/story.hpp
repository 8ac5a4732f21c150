#pragma once

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <map>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "spec/spec.hpp"

namespace cowherd::spec {

/// Tells a Spec what happened, one line of text a step, so that a test reads like the report of a bug.
///
///   space P                    a new address space, called P
///   P map 0+2 rw [populate] [noreplace] [secret]
///   P unmap 0+1, P protect 0+1 none|r|w|rw, P advise 0+1 dontneed|dontfork|…
///   P remap 0+1 2+1 [fixed|stuck] [leave]; "fixed": MAYMOVE and FIXED, "stuck": FIXED alone, "leave": DONTUNMAP
///   P write 1.2 7              word 2 of page 1 gets 7; P read 1.2; "force-write", "force-read" for a debugger
///   P fork C, P restore C, P drop
///   d pin P 0+1 w,long         d is the pin; flags w, long, force, nofault, get; "-" for none
///   d unpin, d read 0.0, d write 0.0 9
///
/// then, optional: `= 7` or `= ENOMEM` what was seen (0 without), `short` a shortage happened. For test code only: a
/// line that makes no sense ends the program.
class Story {
 public:
  explicit Story(Spec& spec) : spec_(spec) {}

  /// The verdict: "ok", or the clause and the harm, "write-pin stale-dma", with " get" where an ordinary reference is
  /// to blame, and "access wrong-result ENOMEM" with what had to come back.
  std::string tell(std::string_view line) {
    std::istringstream in{std::string(line)};
    std::vector<std::string> words;
    for (std::string word; in >> word;) words.push_back(word);
    Observation seen;
    while (words.size() > 2 && (words.back() == "short" || words[words.size() - 2] == "=")) {
      if (words.back() == "short") {
        seen.short_of_memory = true;
        words.pop_back();
      } else {
        observe(seen, words.back());
        words.resize(words.size() - 2);
      }
    }
    judgement = Judgement{};
    step(words, seen);
    return verdict(judgement);
  }

  SpaceId space(const std::string& name) const { return spaces_.at(name); }
  SpecPinId pin(const std::string& name) const { return pins_.at(name); }

  /// The last line's.
  Judgement judgement;

 private:
  static std::string verdict(const Judgement& judgement) {
    if (judgement.ok()) return "ok";
    std::string text = std::string(name_of(judgement.broken)) + " " + label_of(judgement.harm);
    if (judgement.harm == Harm::kWrongResult) text += " " + error_name(judgement.expected_error);
    if (judgement.by_get) text += " get";
    return text;
  }

  static const std::vector<std::pair<std::string, Errno>>& errors() {
    static const std::vector<std::pair<std::string, Errno>> table = {
        {"0", Errno{0}},
        {"EPERM", Errno::kPerm},
        {"ENXIO", Errno::kNoDevice},
        {"EAGAIN", Errno::kAgain},
        {"ENOMEM", Errno::kNoMemory},
        {"EFAULT", Errno::kFault},
        {"EEXIST", Errno::kExist},
        {"EINVAL", Errno::kInvalid},
        {"SIGSEGV", Errno::kSigSegv},
        {"SIGBUS", Errno::kSigBus},
    };
    return table;
  }

  static std::string error_name(Errno error) {
    for (const auto& [name, code] : errors()) {
      if (code == error) return name;
    }
    return "?";
  }

  static void observe(Observation& seen, const std::string& word) {
    for (const auto& [name, code] : errors()) {
      if (name == word) seen.error = code;
    }
    if (seen.error == Errno{0}) seen.value = number(word);
  }

  static std::int64_t number(std::string_view text) {
    std::int64_t value = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc{}) std::abort();
    return value;
  }

  /// "1+2" and "1.2": two small numbers.
  static std::pair<std::uint8_t, std::uint8_t> two(const std::string& text) {
    const std::size_t between = text.find_first_of("+.");
    if (between == std::string::npos) std::abort();
    const std::string_view view = text;
    return {static_cast<std::uint8_t>(number(view.substr(0, between))),
            static_cast<std::uint8_t>(number(view.substr(between + 1)))};
  }

  static Protection protection(const std::string& text) {
    if (text == "none") return Protection::kNone;
    if (text == "r") return Protection::kRead;
    if (text == "w") return Protection::kWrite;
    if (text == "rw") return Protection::kReadWrite;
    std::abort();
  }

  static Advice advice(const std::string& text) {
    static const std::map<std::string, Advice> table = {
        {"dontneed", Advice::kDontNeed},
        {"dontfork", Advice::kDontFork},
        {"dofork", Advice::kDoFork},
        {"wipeonfork", Advice::kWipeOnFork},
        {"keeponfork", Advice::kKeepOnFork},
        {"populate-read", Advice::kPopulateRead},
        {"populate-write", Advice::kPopulateWrite},
        {"lock", Advice::kLock},
        {"unlock", Advice::kUnlock},
        {"cold", Advice::kCold},
        {"sync", Advice::kSync},
        {"pageout", Advice::kPageOut},
        {"free", Advice::kFree},
        {"remove", Advice::kRemove},
    };
    return table.at(text);
  }

  static PinFlags pin_flags(const std::string& text) {
    static const std::map<std::string, PinFlags> table = {
        {"-", PinFlags::kNone},      {"w", PinFlags::kWrite},         {"long", PinFlags::kLongTerm},
        {"force", PinFlags::kForce}, {"nofault", PinFlags::kNoFault}, {"get", PinFlags::kGet},
    };
    PinFlags flags = PinFlags::kNone;
    std::istringstream in(text);
    for (std::string word; std::getline(in, word, ',');) flags = flags | table.at(word);
    return flags;
  }

  void step(const std::vector<std::string>& words, const Observation& seen) {
    const auto word = [&](std::size_t i) { return i < words.size() ? words[i] : std::string(); };
    if (word(0) == "space") {
      spaces_[word(1)] = spec_.create_space();
    } else if (pins_.contains(word(0)) || word(1) == "pin") {
      device_step(word(0), word(1), words, seen);
    } else {
      process_step(spaces_.at(word(0)), word(1), words, seen);
    }
  }

  void device_step(const std::string& name, const std::string& verb, const std::vector<std::string>& words,
                   const Observation& seen) {
    if (verb == "pin") {
      const auto [first, count] = two(words.at(3));
      judgement = spec_.pin(spaces_.at(words.at(2)), first, count, pin_flags(words.at(4)), seen, pins_[name]);
      return;
    }
    const SpecPinId pin = pins_.at(name);
    if (verb == "unpin") return spec_.unpin(pin);
    const auto [page, word] = two(words.at(2));
    if (verb == "read") {
      judgement = spec_.dma_read(pin, page, word, seen);
    } else if (verb == "write") {
      judgement = spec_.dma_write(pin, page, word, number(words.at(3)), seen);
    } else {
      std::abort();
    }
  }

  void process_step(SpaceId space, const std::string& verb, const std::vector<std::string>& words,
                    const Observation& seen) {
    if (verb == "drop") return spec_.drop_space(space);
    if (verb == "fork") {
      spaces_[words.at(2)] = spec_.fork(space);
      return;
    }
    if (verb == "restore") return spec_.restore(space, spaces_.at(words.at(2)));
    const auto [a, b] = two(words.at(2));
    if (verb == "map") {
      MapFlags flags = MapFlags::kNone;
      for (std::size_t i = 4; i < words.size(); ++i) {
        flags = flags | (words[i] == "noreplace" ? MapFlags::kFixedNoReplace
                         : words[i] == "secret"  ? MapFlags::kSecret
                                                 : MapFlags::kPopulate);
      }
      judgement = spec_.mmap(space, a, b, protection(words.at(3)), flags, seen);
    } else if (verb == "unmap") {
      judgement = spec_.munmap(space, a, b, seen);
    } else if (verb == "protect") {
      judgement = spec_.mprotect(space, a, b, protection(words.at(3)), seen);
    } else if (verb == "advise") {
      judgement = spec_.madvise(space, a, b, advice(words.at(3)), seen);
    } else if (verb == "remap") {
      const auto [to, to_count] = two(words.at(3));
      Remap remap{a, b, to, to_count, RemapFlags::kNone};
      for (std::size_t i = 4; i < words.size(); ++i) {
        if (words[i] == "fixed") remap.flags = remap.flags | RemapFlags::kMayMove | RemapFlags::kFixed;
        if (words[i] == "leave") remap.flags = remap.flags | RemapFlags::kDontUnmap;
        if (words[i] == "stuck") remap.flags = remap.flags | RemapFlags::kFixed;
      }
      judgement = spec_.mremap(space, remap, seen);
    } else if (verb == "read") {
      judgement = spec_.read(space, a, b, seen);
    } else if (verb == "write") {
      judgement = spec_.write(space, a, b, number(words.at(3)), seen);
    } else if (verb == "force-read") {
      judgement = spec_.force_read(space, a, b, seen);
    } else if (verb == "force-write") {
      judgement = spec_.force_write(space, a, b, number(words.at(3)), seen);
    } else {
      std::abort();
    }
  }

  Spec& spec_;
  std::map<std::string, SpaceId> spaces_;
  std::map<std::string, SpecPinId> pins_;
};

/// Tells a whole story, each line with `-> verdict` unless the verdict is "ok", and says where it came out otherwise;
/// empty where nowhere. With `resume`, each line is told to a state that has just been packed and unpacked.
inline std::string tell_all(const char* text, bool resume) {
  Spec spec;
  Story story(spec);
  std::istringstream in(text);
  std::string complaints;
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    const std::size_t first = line.find_first_not_of(' ');
    if (first == std::string::npos) continue;
    const std::size_t arrow = std::min(line.find(" -> "), line.size());
    const std::string expected = arrow == line.size() ? "ok" : line.substr(arrow + 4);
    const std::string verdict = story.tell(std::string_view(line).substr(first, arrow - first));
    const auto complain = [&](const std::string& what) {
      complaints += "line " + std::to_string(number) + ": " + line.substr(first) + ": " + what + "\n";
    };
    if (verdict != expected) complain(verdict);
    if (!resume) continue;
    const std::vector<std::byte> before(spec.bytes().begin(), spec.bytes().end());
    spec.assign(before);
    if (std::vector<std::byte>(spec.bytes().begin(), spec.bytes().end()) != before) complain("other bytes");
  }
  return complaints;
}

/// A story with a name, for tables of them.
struct StoryCase {
  const char* name;
  const char* text;

  friend void PrintTo(const StoryCase& story, std::ostream* out) { *out << story.name; }
};

}  // namespace cowherd::spec
