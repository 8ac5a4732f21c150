#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "check/result.hpp"
#include "cowherd/types.hpp"
#include "litmus/program.hpp"
#include "live/pin_by.hpp"

namespace cowherd::cli {

enum class Format : std::uint8_t { kText, kJson, kKtap, kTap, kJunit };

/// What every verb that writes results can be told about them.
struct OutputArguments {
  /// Empty: stdout.
  std::string path;
  Format format = Format::kText;
  /// -1 quiet, 0, 1 verbose.
  int verbosity = 0;
  /// Times and rates among the results, which then differ from run to run.
  bool times = false;
  /// Nor on stderr.
  bool no_time = false;
};

struct SearchArguments {
  /// 0: as many as there are processors.
  unsigned jobs = 0;
  std::optional<ByteCount> max_memory;
  std::optional<std::uint64_t> max_states;
  /// For each test under each rule set.
  std::optional<std::chrono::milliseconds> timeout;
  /// Else what the test says.
  std::optional<litmus::Grain> grain;
  std::optional<std::uint32_t> preemptions;
  check::FrameReuse reuse = check::FrameReuse::kPools;
  ForkMode fork = ForkMode::kClassic;
};

struct CheckArguments {
  std::vector<std::string> files;
  /// What `--rules` said; empty: cowherd's own.
  std::vector<std::string> rules;
  bool judge = false;
  bool show_traces = true;
  bool minimise = true;
  bool unreduced = false;
  /// Every step is taken twice, and the states compared.
  bool twice = false;
  /// A folder for a trace file to each finding; empty: none.
  std::string traces;
  /// A trace file or the string of a schedule.
  std::optional<std::string> replay;
  SearchArguments search;
  OutputArguments output;
};

struct MatrixArguments {
  std::vector<std::string> files;
  std::vector<std::string> rules;
  /// Columns of the terminal; 0: find out.
  unsigned width = 0;
  /// A file for the page with every finding explained; empty: none.
  std::string html;
  SearchArguments search;
  OutputArguments output;
};

struct RulesArguments {
  /// None, one or two.
  std::vector<std::string> names;
  OutputArguments output;
};

struct FmtArguments {
  std::vector<std::string> files;
  bool check = false;
  bool write = false;
};

struct SyntaxArguments {
  std::string output;
};

struct GenArguments {
  std::uint64_t seed = 1;
  std::uint64_t count = 1;
  std::uint32_t max_operations = 8;
  /// All programs of up to so many operations, in place of random ones.
  std::optional<std::uint32_t> enumerate;
  /// A folder; empty: stdout.
  std::string output;
};

struct BenchArguments {
  /// Rows, or parts of what they are about; several in one where commas divide them. Empty: all.
  std::vector<std::string> rows;
  unsigned rounds = 3;
  bool quick = false;
  bool json = false;
  bool list = false;
  bool quiet = false;
  /// What each row maps, in place of its own size.
  std::optional<ByteCount> size;
  /// A file for a page with plots; empty: none.
  std::string html;
  /// Empty: stdout.
  std::string output;
};

/// Another kernel to run under; both empty: the one that runs.
struct GuestArguments {
  /// An image, in QEMU.
  std::string vm;
  /// User Mode Linux, a program.
  std::string uml;

  [[nodiscard]] bool any() const { return !vm.empty() || !uml.empty(); }
};

struct LiveArguments {
  std::vector<std::string> files;
  bool judge = false;
  /// Every interleaving, however many.
  bool all = false;
  std::uint64_t limit = 1000;
  /// So many at random.
  std::optional<std::uint64_t> random;
  std::uint64_t seed = 1;
  /// So many runs in which operations of several blocks are under way at the same time.
  std::optional<std::uint64_t> free;
  /// One interleaving alone; empty: none.
  std::string schedule;
  /// Random programs are compared with this rule set, in place of tests; empty: no.
  std::string against;
  /// Nothing is run: the tests are written as one C program.
  bool emit_c = false;
  /// What takes hold of the pages that a test pins.
  live::PinBy pin_by = live::PinBy::kClosest;
  /// How long one operation may take.
  std::chrono::milliseconds patience{10000};
  /// How long all of it may take.
  std::optional<std::chrono::milliseconds> timeout;
  GuestArguments guest;
  OutputArguments output;
};

struct ProbeArguments {
  bool json = false;
  GuestArguments guest;
  /// Empty: stdout.
  std::string output;
};

struct FingerprintArguments {
  bool json = false;
  GuestArguments guest;
  /// Empty: stdout.
  std::string output;
};

struct CompletionArguments {
  std::string shell;
};

/// The command line was answered or refused while it was read: print, and end with `status`.
struct Answer {
  std::string text;
  bool to_stderr = false;
  int status = 0;
};

using Arguments =
    std::variant<Answer, CheckArguments, MatrixArguments, RulesArguments, FmtArguments, SyntaxArguments, GenArguments,
                 BenchArguments, LiveArguments, ProbeArguments, FingerprintArguments, CompletionArguments>;

/// Reads a command line without its first word, the program's name. herd7's spellings with one dash are understood, and
/// a line that begins with a file in place of a verb means `check`.
Arguments parse_arguments(const std::vector<std::string>& words);

/// "500ms", "10", "10s", "1.5m", "2h"; nothing if it is none of these or not above zero.
std::optional<std::chrono::milliseconds> parse_duration(const std::string& text);
/// "4096", "64K", "512M", "2G"; nothing if it is none of these or not above zero.
std::optional<ByteCount> parse_size(const std::string& text);

/// The verbs and their long options, for completion.
struct VerbWords {
  std::string verb;
  std::string description;
  std::vector<std::string> options;
};
std::vector<VerbWords> all_words();

}  // namespace cowherd::cli
