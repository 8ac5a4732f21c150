#include "measure/line.hpp"

#include <algorithm>
#include <cctype>

namespace cowherd::measure {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

}  // namespace

std::uint64_t Sizes::pages(Extent extent) const {
  // VMAs are few: a process may have 65530.
  constexpr std::uint64_t kMostVmas = 8192;
  switch (extent) {
    case Extent::kFork:
      return fork_pages;
    case Extent::kFault:
      return fault_pages;
    case Extent::kBig:
      return big_pages;
    case Extent::kVmas:
      return std::min(fault_pages, kMostVmas);
    case Extent::kTables:
      return table_pages;
    case Extent::kNothing:
      break;
  }
  return 0;
}

std::uint64_t bytes_of(const Load& load) {
  if (load.tables_alone) return load.pages * 32 + load.pins * 512 * 4096;
  return load.pages * load.threads * 4096 * 5 / 2;
}

Load load_of(const Line& line, const Sizes& sizes, unsigned repetitions) {
  Load load;
  load.pages = sizes.pages(line.extent);
  load.shuffled = line.shuffled;
  load.pins = line.pinned == 0 ? line.pins : std::max<std::uint64_t>(1, load.pages * line.pinned / 100);
  load.repetitions = repetitions;
  load.clock = line.clock;
  load.mode = line.mode;
  load.huge = line.huge;
  load.tables_alone = line.extent == Extent::kTables;
  return load;
}

std::vector<const Line*> select(const std::vector<Line>& lines, const std::vector<std::string>& words,
                                std::vector<std::string>& unknown) {
  std::vector<char> chosen(lines.size(), words.empty() ? 1 : 0);
  for (const std::string& word : words) {
    const std::string wanted = lower(word);
    // A word that is a row means no line that merely has it in its text.
    const bool is_row = std::ranges::any_of(lines, [&](const Line& line) { return line.row == wanted; });
    bool found = false;
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const bool matches =
          is_row ? lines[i].row == wanted : !wanted.empty() && lower(lines[i].what).find(wanted) != std::string::npos;
      if (!matches) continue;
      chosen[i] = 1;
      found = true;
    }
    if (!found) unknown.push_back(word);
  }
  std::vector<const Line*> result;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (chosen[i] != 0) result.push_back(&lines[i]);
  }
  return result;
}

}  // namespace cowherd::measure
