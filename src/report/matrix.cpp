#include "report/matrix.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "litmus/spelling.hpp"
#include "report/whole_text.hpp"

namespace cowherd::report {
namespace {

using litmus::Verdict;

struct Group {
  std::size_t begin;
  std::size_t end;
};

std::vector<Group> groups_of(std::size_t columns, std::size_t room) {
  const std::size_t fit = std::max<std::size_t>(room / 2, 1);
  std::vector<Group> groups;
  for (std::size_t begin = 0; begin < columns; begin += fit) groups.push_back({begin, std::min(begin + fit, columns)});
  return groups;
}

/// Heads stand upright above their columns, read downwards.
std::string heads_text(const Matrix& matrix, Group group, std::size_t label_width) {
  std::size_t height = 0;
  for (std::size_t i = group.begin; i < group.end; ++i) height = std::max(height, matrix.columns[i].name.size());
  std::string text;
  for (std::size_t line = 0; line < height; ++line) {
    std::string out(label_width, ' ');
    for (std::size_t i = group.begin; i < group.end; ++i) {
      const std::string& name = matrix.columns[i].name;
      const std::size_t top = height - name.size();
      out += ' ';
      out += line < top ? ' ' : name[line - top];
    }
    out.erase(out.find_last_not_of(' ') + 1);
    text += out + '\n';
  }
  return text;
}

std::string group_text(const Matrix& matrix, Group group, std::size_t label_width) {
  std::string text = heads_text(matrix, group, label_width);
  for (const MatrixRow& row : matrix.rows) {
    std::string out = fmt::format("{:<{}} ", row.test, label_width);
    for (std::size_t i = group.begin; i < group.end; ++i) out += fmt::format("{:<2}", mark_of(row.cells[i]));
    out.erase(out.find_last_not_of(' ') + 1);
    text += out + '\n';
  }
  return text;
}

struct Counts {
  std::size_t cells = 0;
  std::size_t stated = 0;
  std::size_t agree = 0;
  std::size_t disagree = 0;
  std::size_t unfinished = 0;
};

bool is_answer(const MatrixCell& cell) {
  const ExitStatus status = status_of(cell.judgement);
  return status == ExitStatus::kExpected || status == ExitStatus::kDiffers || status == ExitStatus::kSkipped;
}

void count(const MatrixCell& cell, Counts& counts) {
  ++counts.cells;
  if (cell.statement) ++counts.stated;
  if (!is_answer(cell)) {
    ++counts.unfinished;
  } else if (disagrees(cell)) {
    ++counts.disagree;
  } else if (cell.statement) {
    ++counts.agree;
  }
}

Counts count(const Matrix& matrix) {
  Counts counts;
  for (const MatrixRow& row : matrix.rows) {
    for (const MatrixCell& cell : row.cells) count(cell, counts);
    for (const MatrixRow::Changed& changed : row.changed) count(changed.cell, counts);
  }
  return counts;
}

std::string disagreement_text(const MatrixCell& cell) {
  if (cell.judgement == Judgement::kUnexpectedPass || (cell.statement && *cell.statement != cell.observation)) {
    return fmt::format("{}, and sources say {}", litmus::name_of(cell.observation),
                       cell.statement ? litmus::name_of(*cell.statement) : "nothing");
  }
  return fmt::format("{}, {}", litmus::name_of(cell.observation), cell.reason);
}

/// A line to each way in which a test disagrees, with the rule sets under which it does.
std::string disagreements_of(const Matrix& matrix, const MatrixRow& row) {
  std::vector<std::pair<std::string, std::string>> ways;
  const auto note = [&ways](const MatrixCell& cell, const std::string& rules) {
    if (!disagrees(cell)) return;
    const std::string way = disagreement_text(cell);
    auto found = std::find_if(ways.begin(), ways.end(), [&way](const auto& known) { return known.first == way; });
    if (found == ways.end()) found = ways.insert(ways.end(), {way, ""});
    found->second += ' ' + rules;
  };
  for (std::size_t i = 0; i < row.cells.size(); ++i) note(row.cells[i], matrix.columns[i].name);
  for (const MatrixRow::Changed& changed : row.changed) note(changed.cell, changed.rules);
  std::string text;
  for (const auto& [way, rules] : ways) text += fmt::format("  {}: {}, under{}\n", row.test, way, rules);
  return text;
}

std::string changed_text(const Matrix& matrix, std::size_t label_width) {
  std::string text;
  for (const MatrixRow& row : matrix.rows) {
    for (const MatrixRow::Changed& changed : row.changed) {
      text += fmt::format("{:<{}} {:<2} {}\n", row.test, label_width, mark_of(changed.cell), changed.rules);
    }
  }
  return text.empty() ? text : fmt::format("Under changed rule sets that the tests name:\n{}\n", text);
}

std::string columns_text(const Matrix& matrix) {
  std::size_t widest = 0;
  for (const Matrix::Column& column : matrix.columns) widest = std::max(widest, column.name.size());
  std::string text;
  for (const Matrix::Column& column : matrix.columns) {
    if (!column.kernels.empty()) text += fmt::format("  {:<{}}  {}\n", column.name, widest, column.kernels);
  }
  return text.empty() ? text : fmt::format("Columns:\n{}", text);
}

}  // namespace

MatrixCell cell_of(const Judged& judged, std::optional<Verdict> statement) {
  MatrixCell cell;
  cell.judgement = judged.judgement;
  cell.observation = judged.result.observation();
  cell.statement = statement;
  cell.reason = judged.reason;
  if (!judged.result.error.empty()) return cell;
  cell.bad = cell.observation != good_verdict(*judged.program).value_or(judged.result.reference());
  bool explained = !judged.result.findings.empty();
  for (const check::Finding& finding : judged.result.findings) {
    cell.findings.push_back(title_of(finding));
    explained = explained && !finding.trace.steps.empty();
  }
  if (explained) cell.explanation = findings_text(judged, true);
  return cell;
}

bool disagrees(const MatrixCell& cell) { return status_of(cell.judgement) == ExitStatus::kDiffers; }

std::string mark_of(const MatrixCell& cell) {
  if (cell.judgement == Judgement::kError) return "E";
  if (!is_answer(cell)) return "?";
  std::string mark;
  if (cell.bad) {
    mark = cell.statement ? "X" : "x";
  } else if (!cell.findings.empty()) {
    mark = "+";
  } else {
    mark = cell.statement ? "." : "-";
  }
  return disagrees(cell) ? mark + "!" : mark;
}

std::string summary_text(const Matrix& matrix) {
  const Counts counts = count(matrix);
  std::string text =
      fmt::format("{} tests under {} rule sets: {} of {} published statements agree, {} disagreements",
                  matrix.rows.size(), matrix.columns.size(), counts.agree, counts.stated, counts.disagree);
  if (counts.unfinished != 0) text += fmt::format(", {} without an answer", counts.unfinished);
  text += '\n';
  for (const MatrixRow& row : matrix.rows) text += disagreements_of(matrix, row);
  return text;
}

std::string matrix_text(const Matrix& matrix, std::size_t width) {
  std::size_t label_width = 0;
  for (const MatrixRow& row : matrix.rows) label_width = std::max(label_width, row.test.size());
  const std::size_t room = width > label_width + 3 ? width - label_width - 1 : 2;
  std::string text;
  for (const Group group : groups_of(matrix.columns.size(), room)) {
    text += group_text(matrix, group, label_width);
    text += '\n';
  }
  text += changed_text(matrix, label_width);
  text +=
      "Marks: '.' as it should be, 'X' the bad outcome; both as published sources say, with '!' they say otherwise;\n"
      "'-' and 'x' the same where no source speaks; '+' a good verdict with some other finding beside it;\n"
      "'?' without an answer, 'E' could not run.\n";
  return text + columns_text(matrix) + summary_text(matrix);
}

}  // namespace cowherd::report
