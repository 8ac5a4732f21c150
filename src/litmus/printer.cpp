#include "litmus/printer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "litmus/expectation.hpp"
#include "litmus/spelling.hpp"
#include "litmus/symbols.hpp"

namespace cowherd::litmus {
namespace {

constexpr std::size_t kWidth = 110;

std::string print_pages(const Program& program, const Place& place) {
  const Variable& variable = program.variables[place.variable];
  if (place.page == 0 && place.pages == variable.pages) return variable.name;
  if (place.pages == 1) return fmt::format("{}[{}]", variable.name, place.page);
  return fmt::format("{}[{}..{}]", variable.name, place.page, place.page + place.pages - 1);
}

/// `star` where the first word of the first page is written `*x`.
std::string print_word(std::string_view name, const Place& place, bool star) {
  if (place.page == 0 && place.word == 0) return fmt::format("{}{}", star ? "*" : "", name);
  return fmt::format("{}{}{}", name, place.page == 0 ? "" : fmt::format("[{}]", place.page),
                     place.word == 0 ? "" : fmt::format(".{}", place.word));
}

std::string print_operand(const Program& program, std::size_t block, const Operand& operand) {
  if (operand.is_register) return program.blocks[block].registers[operand.reg];
  return fmt::format("{}", operand.literal);
}

std::string print_block(const Program& program, std::uint8_t block) {
  const Block& named = program.blocks[block];
  return named.kind == BlockKind::kProcess ? named.name.substr(1) : named.name;
}

/// "(* Key: text *)", broken between words into lines that are not too long.
std::string print_keyed(std::string_view key, std::string_view text) {
  std::string out = fmt::format("(* {}:", key);
  const std::string indent(4, ' ');
  std::size_t column = out.size();
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    // A star that begins a line would be read as decoration.
    if (column + 1 + word.size() > kWidth && column > indent.size() && !word.starts_with('*')) {
      out += "\n" + indent;
      column = indent.size();
    } else {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out + " *)";
}

std::string print_file(const FileVariable& file) {
  static constexpr std::array<std::string_view, 3> kKinds{"memfd", "file", "hugetlbfs"};
  std::string out = fmt::format("{} = {}", file.name, kKinds[static_cast<std::size_t>(file.kind)]);
  if (file.pages != (file.is_hugetlb() ? kHugePages : 1)) out += fmt::format("[{}]", file.pages);
  if (file.value != 0) out += fmt::format("({})", file.value);
  return out + ";";
}

std::string print_file_variable(const Program& program, const Variable& variable) {
  const FileVariable& file = program.files[variable.file];
  std::string out = fmt::format("{} = {}", variable.name, file.name);
  if (variable.file_page != 0 || variable.pages != file.pages) {
    out += variable.pages == 1 ? fmt::format("[{}]", variable.file_page)
                               : fmt::format("[{}..{}]", variable.file_page, variable.file_page + variable.pages - 1);
  }
  out += variable.shared ? " shared" : " private";
  if (variable.noreserve) out += " noreserve";
  if (variable.protection != Protection::kReadWrite) out += " " + text_of(variable.protection);
  return out + ";";
}

std::string print_variable(const Program& program, const Variable& variable) {
  if (maps_file(variable.kind)) return print_file_variable(program, variable);
  static constexpr std::array<std::string_view, 10> kKinds{"anon", "anon", "zeropage", "unmapped", "secret",
                                                           "thp",  "thp",  "",         "hugetlb",  "hugetlb"};
  std::string out = fmt::format("{} = {}", variable.name, kKinds[static_cast<std::size_t>(variable.kind)]);
  if (variable.pages != (is_huge(variable.kind) ? kHugePages : 1)) out += fmt::format("[{}]", variable.pages);
  if (is_written(variable.kind)) out += fmt::format("({})", variable.value);
  if (variable.shared) out += " shared";
  if (variable.noreserve) out += " noreserve";
  if (variable.protection != Protection::kReadWrite) out += " " + text_of(variable.protection);
  return out + ";";
}

/// The argument list names what the block uses, in order of declaration.
std::string print_block_head(const Program& program, const Block& block) {
  std::array<bool, kMaxVariables> uses_variable{};
  std::array<bool, kMaxDevices> uses_device{};
  std::array<bool, kMaxFiles> uses_file{};
  for (const Operation& op : block.operations) {
    switch (statement_word(op).arguments) {
      case Arguments::kNone:
      case Arguments::kBlock:
      case Arguments::kSnapshot:
        break;
      case Arguments::kDevicePagesFlags:
        uses_device[op.device] = true;
        uses_variable[op.place.variable] = true;
        break;
      case Arguments::kDevice:
      case Arguments::kDeviceWord:
      case Arguments::kDeviceWordValue:
        uses_device[op.device] = true;
        break;
      case Arguments::kPagesPagesFlags:
      case Arguments::kTwoOtherPages:
        uses_variable[op.to.variable] = true;
        uses_variable[op.place.variable] = true;
        break;
      case Arguments::kFileWord:
      case Arguments::kFileWordValue:
      case Arguments::kFilePages:
      case Arguments::kFileSize:
      case Arguments::kFile:
        uses_file[op.file] = true;
        break;
      default:
        uses_variable[op.place.variable] = true;
        break;
    }
  }
  std::string arguments;
  for (std::size_t v = 0; v < program.variables.size(); ++v) {
    if (uses_variable[v])
      arguments += fmt::format("{}page *{}", arguments.empty() ? "" : ", ", program.variables[v].name);
  }
  for (std::size_t f = 0; f < program.files.size(); ++f) {
    if (uses_file[f]) arguments += fmt::format("{}file *{}", arguments.empty() ? "" : ", ", program.files[f].name);
  }
  for (std::size_t d = 0; d < program.devices.size(); ++d) {
    if (uses_device[d]) arguments += fmt::format("{}dev *{}", arguments.empty() ? "" : ", ", program.devices[d]);
  }
  static constexpr std::array<std::string_view, 3> kKinds{"", "device ", "kernel "};
  return fmt::format("{}{}({})", kKinds[static_cast<std::size_t>(block.kind)], block.name, arguments);
}

bool is_state(Term::Kind kind) {
  return kind != Term::Kind::kLiteral && kind != Term::Kind::kRegister && kind != Term::Kind::kMemory &&
         kind != Term::Kind::kFileWord && kind != Term::Kind::kDiskWord;
}

/// Terms that are 0 or 1, or that mostly matter as such: written bare where they are compared with 0.
bool is_flag(Term::Kind kind) {
  return kind == Term::Kind::kExclusive || kind == Term::Kind::kWritable || kind == Term::Kind::kDirty ||
         kind == Term::Kind::kSoftDirty || kind == Term::Kind::kSwapped || kind == Term::Kind::kSwapCache ||
         kind == Term::Kind::kHuge || kind == Term::Kind::kMovable || kind == Term::Kind::kOnDevice ||
         kind == Term::Kind::kUffdWp || kind == Term::Kind::kWaiting || kind == Term::Kind::kFaults ||
         kind == Term::Kind::kFinding || kind == Term::Kind::kPool;
}

std::string print_side(const Program& program, const Term& side, const Term& other) {
  return side.kind == Term::Kind::kLiteral ? format_value(other, side.literal) : print_term(program, side);
}

std::string print_comparison(const Program& program, const Condition& condition) {
  static constexpr std::array<std::string_view, 6> kSigns{"=", "!=", "<", "<=", ">", ">="};
  if (condition.compare == Condition::Compare::kNotEqual && condition.right == Term{} && is_flag(condition.left.kind)) {
    return print_term(program, condition.left);
  }
  return fmt::format("{}{}{}", print_side(program, condition.left, condition.right),
                     kSigns[static_cast<std::size_t>(condition.compare)],
                     print_side(program, condition.right, condition.left));
}

/// A part of a larger condition, in parentheses where they are needed.
std::string print_part(const Program& program, const Condition& condition, Condition::Kind around) {
  const bool joined = condition.kind == Condition::Kind::kAnd || condition.kind == Condition::Kind::kOr;
  const bool bound = around == Condition::Kind::kOr && condition.kind == Condition::Kind::kAnd;
  const bool vague = around == Condition::Kind::kNot && condition.kind == Condition::Kind::kCompare &&
                     !(condition.compare == Condition::Compare::kNotEqual && condition.right == Term{} &&
                       is_flag(condition.left.kind));
  const std::string text = print_condition(program, condition);
  return (joined && !bound) || vague ? fmt::format("({})", text) : text;
}

std::vector<std::string> print_expectations(const Program& program) {
  std::vector<std::string> lines;
  if (program.result.has_value()) lines.push_back(print_keyed("Result", name_of(*program.result)));
  if (!program.expectations.empty()) {
    lines.push_back(print_keyed("Rules", format_rules_line(program.expectations)));
  }
  if (program.grain != Grain::kOperation) {
    lines.push_back(print_keyed("Grain", grain_words()[static_cast<std::size_t>(program.grain)].name));
  }
  if (!program.source.empty()) lines.push_back(print_keyed("Source", program.source));
  if (!program.remark.empty()) lines.push_back(print_keyed("Remark", program.remark));
  return lines;
}

}  // namespace

std::string print_place(const Program& program, const Operation& operation) {
  switch (statement_word(operation).arguments) {
    case Arguments::kNone:
    case Arguments::kBlock:
    case Arguments::kSnapshot:
    case Arguments::kHandler:
      return {};
    case Arguments::kWord:
    case Arguments::kWordValue:
      return print_word(program.variables[operation.place.variable].name, operation.place, true);
    case Arguments::kOtherWord:
    case Arguments::kOtherWordValue:
    case Arguments::kHandledWord:
    case Arguments::kHandledWordValue:
      return print_word(program.variables[operation.place.variable].name, operation.place, false);
    case Arguments::kDevice:
      return program.devices[operation.device];
    case Arguments::kDeviceWord:
    case Arguments::kDeviceWordValue:
      return print_word(program.devices[operation.device], operation.place, false);
    case Arguments::kFileWord:
    case Arguments::kFileWordValue:
      return print_word(program.files[operation.file].name, operation.place, false);
    case Arguments::kFilePages: {
      const FileVariable& file = program.files[operation.file];
      const Place& place = operation.place;
      if (place.pages == 1) return fmt::format("{}[{}]", file.name, place.page);
      return fmt::format("{}[{}..{}]", file.name, place.page, place.page + place.pages - 1);
    }
    case Arguments::kFile:
      return program.files[operation.file].name;
    case Arguments::kFileSize:
      return fmt::format("{}, {}", program.files[operation.file].name, operation.place.page);
    default:
      return print_pages(program, operation.place);
  }
}

std::string print_operation(const Program& program, std::size_t block, const Operation& operation) {
  const StatementWord& word = statement_word(operation);
  std::string out;
  if (operation.result.has_value()) out += fmt::format("{} = ", program.blocks[block].registers[*operation.result]);
  out += fmt::format("{}(", word.name);
  if (word.arguments == Arguments::kDevicePagesFlags) out += program.devices[operation.device] + ", ";
  if (word.arguments == Arguments::kHandler) {
    out += program.blocks[*operation.target].name;
  } else if (operation.target.has_value()) {
    out += program.blocks[*operation.target].name + ":";
  }
  out += print_place(program, operation);
  switch (word.arguments) {
    case Arguments::kBlock:
      out += program.blocks[operation.block].name;
      break;
    case Arguments::kSnapshot:
      out += fmt::format("S{}", operation.snapshot);
      break;
    case Arguments::kWordValue:
    case Arguments::kDeviceWordValue:
    case Arguments::kOtherWordValue:
    case Arguments::kFileWordValue:
    case Arguments::kHandledWordValue:
      out += ", " + print_operand(program, block, operation.value);
      break;
    case Arguments::kPagesProtectionFlags:
      out += fmt::format(", {}, {}", text_of(operation.protection), text_of(operation.map_flags));
      break;
    case Arguments::kPagesProtection:
      out += ", " + text_of(operation.protection);
      break;
    case Arguments::kPagesAdvice:
      out += fmt::format(", {}", name_of(operation.advice));
      break;
    case Arguments::kDevicePagesFlags:
      out += ", " + text_of(operation.pin_flags);
      break;
    case Arguments::kPagesUffdFlags:
      out += ", " + text_of(operation.uffd);
      break;
    case Arguments::kTwoPages:
      out += ", " + print_pages(program, operation.to);
      break;
    case Arguments::kTwoOtherPages:
      out += ", ";
      if (operation.to_target.has_value()) out += program.blocks[*operation.to_target].name + ":";
      out += print_pages(program, operation.to);
      break;
    case Arguments::kPagesPagesFlags:
      out += fmt::format(", {}, {}", print_pages(program, operation.to), text_of(operation.remap_flags));
      break;
    default:
      break;
  }
  out += ")";
  if (operation.times != 1) out += fmt::format(" times {}", operation.times);
  if (operation.fail_any) out += " fail_nth(any)";
  if (operation.fail_nth != 0) out += fmt::format(" fail_nth {}", operation.fail_nth);
  return out;
}

std::string print_term(const Program& program, const Term& term) {
  const auto page = [&] {
    const std::string& name = program.variables[term.place.variable].name;
    return fmt::format("{}:{}", print_block(program, term.block), print_word(name, term.place, false));
  };
  switch (term.kind) {
    case Term::Kind::kLiteral:
      return format_value(term.literal);
    case Term::Kind::kRegister:
      return fmt::format("{}:{}", print_block(program, term.block), program.blocks[term.block].registers[term.reg]);
    case Term::Kind::kMemory:
      return page();
    case Term::Kind::kFileWord:
      return print_word(program.files[term.file].name, term.place, false);
    case Term::Kind::kDiskWord:
      return fmt::format("disk({})", print_word(program.files[term.file].name, term.place, false));
    case Term::Kind::kFinding:
      return fmt::format("finding({})", term.label);
    case Term::Kind::kPool:
      return fmt::format("pool({})", term.label);
    case Term::Kind::kFaults:
      return fmt::format("fault({})", program.blocks[term.block].name);
    case Term::Kind::kRss:
      return fmt::format("rss({})", program.blocks[term.block].name);
    case Term::Kind::kWaiting:
      return fmt::format("waiting({})", program.blocks[term.block].name);
    default:
      break;
  }
  for (const FlagWord<Term::Kind>& word : term_words()) {
    if (word.flag == term.kind) return fmt::format("{}({})", word.name, page());
  }
  return {};
}

std::string format_value(const Term& term, std::int64_t value) {
  return is_state(term.kind) ? fmt::format("{}", value) : format_value(value);
}

std::string print_condition(const Program& program, const Condition& condition) {
  switch (condition.kind) {
    case Condition::Kind::kTrue:
      return "true";
    case Condition::Kind::kCompare:
      return print_comparison(program, condition);
    case Condition::Kind::kNot:
      return "~" + print_part(program, condition.children.front(), condition.kind);
    case Condition::Kind::kAnd:
    case Condition::Kind::kOr:
      break;
  }
  std::string out;
  for (const Condition& child : condition.children) {
    if (!out.empty()) out += condition.kind == Condition::Kind::kAnd ? " /\\ " : " \\/ ";
    out += print_part(program, child, condition.kind);
  }
  return out;
}

std::string print_final_condition(const Program& program) {
  static constexpr std::array<std::string_view, 4> kWords{"", "exists", "~exists", "forall"};
  if (program.quantifier == Quantifier::kNone) return {};
  return fmt::format("{} ({})", kWords[static_cast<std::size_t>(program.quantifier)],
                     print_condition(program, program.condition));
}

std::vector<PrintedUnit> print_units(const Program& program) {
  std::vector<PrintedUnit> units;
  units.push_back({{UnitKind::kHeader}, fmt::format("COW {}", program.name)});
  if (!program.doc.empty()) units.push_back({{UnitKind::kDoc}, fmt::format("\"{}\"", program.doc)});
  const std::vector<std::string> expectations = print_expectations(program);
  if (!expectations.empty())
    units.push_back({{UnitKind::kExpectations}, fmt::format("{}", fmt::join(expectations, "\n"))});
  units.push_back({{UnitKind::kInitOpen}, "{"});
  if (program.hugepages)
    units.push_back({{UnitKind::kHugepages}, fmt::format("  hugepages = {};", *program.hugepages), 2});
  if (program.folios) units.push_back({{UnitKind::kFolios}, fmt::format("  folios = {};", *program.folios), 2});
  if (program.movable) units.push_back({{UnitKind::kMovable}, fmt::format("  movable = {};", *program.movable), 2});
  for (std::size_t f = 0; f < program.files.size(); ++f) {
    units.push_back({{UnitKind::kFile, f}, "  " + print_file(program.files[f]), 2});
  }
  for (std::size_t v = 0; v < program.variables.size(); ++v) {
    units.push_back({{UnitKind::kVariable, v}, "  " + print_variable(program, program.variables[v]), 2});
  }
  for (std::size_t d = 0; d < program.devices.size(); ++d) {
    units.push_back({{UnitKind::kDevice, d}, fmt::format("  {} = device;", program.devices[d]), 2});
  }
  units.push_back({{UnitKind::kInitClose}, "}", 2});
  for (std::size_t b = 0; b < program.blocks.size(); ++b) {
    units.push_back({{UnitKind::kBlockHead, b}, print_block_head(program, program.blocks[b])});
    units.push_back({{UnitKind::kBlockOpen, b}, "{"});
    for (std::size_t i = 0; i < program.blocks[b].operations.size(); ++i) {
      const Operation& op = program.blocks[b].operations[i];
      units.push_back({{UnitKind::kStatement, b, i}, fmt::format("  {};", print_operation(program, b, op)), 2});
    }
    units.push_back({{UnitKind::kBlockClose, b}, "}", 2});
  }
  if (program.filter.has_value()) {
    units.push_back({{UnitKind::kFilter}, fmt::format("filter ({})", print_condition(program, *program.filter))});
  }
  if (!program.locations.empty()) {
    std::string text;
    for (const Term& term : program.locations)
      text += fmt::format("{}{};", text.empty() ? "" : " ", print_term(program, term));
    units.push_back({{UnitKind::kLocations}, fmt::format("locations [{}]", text)});
  }
  if (program.quantifier != Quantifier::kNone)
    units.push_back({{UnitKind::kCondition}, print_final_condition(program)});
  return units;
}

std::string print(const Program& program) {
  std::string out;
  for (const PrintedUnit& unit : print_units(program)) out += unit.text + "\n";
  return out;
}

}  // namespace cowherd::litmus
