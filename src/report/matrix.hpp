#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/judged.hpp"
#include "report/reporter.hpp"

namespace cowherd::report {

/// One test under one rule set, as the matrix keeps it.
struct MatrixCell {
  Judgement judgement = Judgement::kPass;
  litmus::Verdict observation = litmus::Verdict::kNever;
  /// What published sources say.
  std::optional<litmus::Verdict> statement;
  /// The verdict is not the one that the reference semantics, or the test's `Result:`, asks for.
  bool bad = false;
  /// Titles of the findings.
  std::vector<std::string> findings;
  std::string reason;
  /// Its findings, explained; empty where nobody asked for that.
  std::string explanation;
};

struct MatrixRow {
  std::string file;
  std::string test;
  /// One to each column.
  std::vector<MatrixCell> cells;
  /// Changed rule sets that the test itself speaks of, which are nobody's column.
  struct Changed {
    std::string rules;
    MatrixCell cell;
  };
  std::vector<Changed> changed;
  /// What the test says of itself: in a sentence, and where it comes from.
  std::string doc;
  std::string source;
};

struct Matrix {
  struct Column {
    std::string name;
    /// Which kernels; may be empty.
    std::string kernels;
  };
  std::vector<Column> columns;
  std::vector<MatrixRow> rows;
};

MatrixCell cell_of(const Judged& judged, std::optional<litmus::Verdict> statement);

/// The mark of a cell: a letter for what was seen ('.' and 'X' where a source speaks of it, '-' and 'x' where none
/// does, '+' for a good verdict with a finding beside it, '?' unfinished, 'E' error), and '!' where a source says
/// otherwise.
std::string mark_of(const MatrixCell& cell);

/// Whether a published statement, or what the default rules promise, is contradicted.
bool disagrees(const MatrixCell& cell);

/// "2 tests under 3 rule sets: 3 of 5 published statements agree, …", and a line to each disagreement.
std::string summary_text(const Matrix& matrix);

/// The table, its legend, and a line to each disagreement. Wider tables than `width` are cut into groups of columns.
std::string matrix_text(const Matrix& matrix, std::size_t width);

/// A page that needs nothing else: the table, and what each cell with a finding leads to, once for all rule sets under
/// which it reads the same.
std::string matrix_html(const Matrix& matrix);

/// An object to each cell and one for the whole, each on a line.
std::string matrix_json(const Matrix& matrix);

}  // namespace cowherd::report
