#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cowherd/flags.hpp"
#include "litmus/program.hpp"

namespace cowherd::litmus {

// How the language spells what program.hpp enumerates; the parser, the printer and the reference text share it.

/// What stands between a statement's parentheses.
enum class Arguments : std::uint8_t {
  kNone,
  kWord,
  kWordValue,
  kPagesProtectionFlags,
  kPages,
  kPagesProtection,
  kPagesAdvice,
  kBlock,
  kDevicePagesFlags,
  kDevice,
  kDeviceWord,
  kDeviceWordValue,
  kOtherWord,
  kOtherWordValue,
  kOtherPage,
  kOtherPages,
  kSnapshot,
  kPagesPagesFlags,
  kFileWord,
  kFileWordValue,
  kFilePages,
  kFileSize,
  kFile,
  kTwoOtherPages,
  kPagesUffdFlags,
  kHandledWord,
  kHandledWordValue,
  kHandledPage,
  kHandledPages,
  kTwoPages,
  kHandler,
};

struct StatementWord {
  std::string_view name;
  OpCode code;
  Arguments arguments;
  /// The get and put forms of pin and unpin, and other second names.
  bool get = false;
};

std::span<const StatementWord> statement_words();
/// Null where no statement has that name.
const StatementWord* find_statement(std::string_view name);
const StatementWord& statement_word(const Operation& operation);
/// Whether the operation is on a file.
bool names_file(const Operation& operation);
/// Whether the place of `operation` is in a variable: else it is on a device or in a file, or there is none.
bool names_variable(const Operation& operation);
/// Whether `operation` names a second place.
bool names_second_place(const Operation& operation);
/// "(device, pages, FLAGS)"
std::string_view describe(Arguments arguments);

template <class E>
struct FlagWord {
  std::string_view name;
  E flag;
};

std::span<const FlagWord<Protection>> protection_words();
std::span<const FlagWord<MapFlags>> map_flag_words();
std::span<const FlagWord<RemapFlags>> remap_flag_words();
std::span<const FlagWord<PinFlags>> pin_flag_words();
std::span<const FlagWord<UffdFlags>> uffd_flag_words();
std::span<const FlagWord<Advice>> advice_words();
std::span<const FlagWord<Verdict>> verdict_words();
std::span<const FlagWord<Grain>> grain_words();
/// The functions of conditions that take a place or a block, and `finding`.
std::span<const FlagWord<Term::Kind>> term_words();

template <class E>
std::vector<std::string_view> names_of(std::span<const FlagWord<E>> words) {
  std::vector<std::string_view> names;
  for (const FlagWord<E>& word : words) names.push_back(word.name);
  return names;
}

std::string_view name_of(Verdict verdict);
std::string_view name_of(Advice advice);
/// "PROT_READ | PROT_WRITE"; "PROT_NONE" for none, and "0" for no other flags.
std::string text_of(Protection protection);
std::string text_of(MapFlags flags);
std::string text_of(RemapFlags flags);
std::string text_of(PinFlags flags);
std::string text_of(UffdFlags flags);

/// r0 … r999, without leading zeros.
bool is_register_name(std::string_view name);
/// P0, D0, K0 and so on.
bool is_block_name(std::string_view name);
/// S0 … S9.
bool is_snapshot_name(std::string_view name);
/// Words that no variable or device may have as its name.
bool is_reserved(std::string_view name);

}  // namespace cowherd::litmus
