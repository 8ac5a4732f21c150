#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "stress/record.hpp"
#include "stress/register.hpp"

namespace cowherd::stress {

/// A page's protection as a value of a Register: a Protection, or that nothing is mapped.
inline constexpr std::uint64_t kUnmapped = 4;

/// What an operation saw that it must not see.
struct Finding {
  std::string reason;
  Record culprit;
  /// Where the culprit looked; the page of a culprit that has several.
  std::uint8_t page = 0;
  /// When the story begins: with the write that is missing, where one is.
  Tick since = 0;
};

/// What is really there at the end of a round, when no operation is in flight.
struct Facts {
  /// Protection of a page, or kUnmapped.
  std::function<std::uint64_t(Life, std::uint8_t page)> protection;
  std::function<std::uint64_t(Life, std::uint8_t page, std::uint8_t word)> word;
  std::function<std::uint64_t(std::uint32_t pin, std::uint8_t page, std::uint8_t word)> device_word;
};

/// Judges rounds of operations that overlapped, after the fact, from what each thread has recorded: the threads have
/// nothing in common but the machine, and no check of theirs hides a race from it.
///
/// The memory of an address space is a Register per watched word. Fork gives each word of the child one value that the
/// parent's word could be read to have during the fork. A device and the owner of a page read and write the same
/// register as long as the owner has not thrown the page away; while and after it does, what the device writes may be
/// seen, and what it reads is not judged.
class Oracle {
 public:
  /// `asks_force`: a debugger writes only where the owner may, as to hugetlb memory.
  explicit Oracle(bool asks_force = false) : asks_force_(asks_force) {}

  /// A life that no fork begins: every word zero, nothing mapped.
  void begin_life(Life life);

  /// Takes in a round. The first finding, if there is one: then the oracle knows no more.
  std::optional<Finding> judge(std::span<const Log> round);
  /// Compares what is left with the facts at `now`, which is after everything. The next round begins with them.
  std::optional<Finding> settle(const Facts& facts, Tick now);

  /// The parent and the fork of a life that began in this round.
  struct Birth {
    Life parent;
    Interval fork;
  };
  [[nodiscard]] std::optional<Birth> birth_of(Life life) const;

 private:
  struct Space {
    std::optional<Birth> birth;
    std::array<Register, std::size_t{kPages} * kWords> words;
    std::array<Register, kPages> protections;
    /// When the owner threw pages away.
    std::array<std::vector<Interval>, kPages> discards;
    bool gone = false;
  };
  struct Pin {
    Life life;
    std::uint8_t first;
    std::uint8_t count;
    Interval taken;
    /// Pages, from bit 0, that are the device's own by now, or no page of the owner's at all.
    std::uint64_t apart;
    bool gone = false;
  };
  using Which = std::function<const Register&(const Space&)>;

  Space& space(Life life) { return spaces_.at(life); }
  static Which word(std::uint8_t page, std::uint8_t word);
  static Which protection(std::uint8_t page);

  void take_in(const Record& record);
  void take_in_device(const Record& record);
  void discard(Space& space, const Record& record, bool zeroes, bool certain);
  /// Whether the device and the owner had the page of `record` in common all the time.
  bool together(const Record& record);
  void note_seen(const Record& record);

  /// Whether `value` can be read from a register of `life` during `read`.
  bool can_be(Life life, const Which& which, std::uint64_t value, Interval read);
  bool may_be_protected(Life life, std::uint8_t page, Interval when, bool (*as)(std::uint64_t));
  std::optional<Finding> check(const Record& record);
  std::optional<Finding> check_value(const Record& record, Life life, std::uint8_t page, std::uint8_t word,
                                     std::uint64_t value);
  std::optional<Finding> check_allowed(const Record& record);

  bool asks_force_;
  std::map<Life, Space> spaces_;
  std::map<std::uint32_t, Pin> pins_;
};

}  // namespace cowherd::stress
