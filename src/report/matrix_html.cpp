#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "litmus/spelling.hpp"
#include "report/matrix.hpp"
#include "report/xml.hpp"

namespace cowherd::report {
namespace {

constexpr std::string_view kStyle = R"(
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em; color: #222 }
table { border-collapse: collapse }
thead th { position: sticky; top: 0; background: #fff; vertical-align: bottom; padding: .2em }
thead th span { writing-mode: vertical-rl; transform: rotate(180deg); font-weight: 400 }
tbody th { text-align: left; font-weight: 400; padding-right: 1em; white-space: nowrap }
tbody th.family { font-weight: 600; padding-top: 1em }
td { text-align: center; min-width: 1.4em; border: 1px solid #ddd }
.good { background: #e3f3ea } .bad { background: #f8d7c9 } .beside { background: #fdf0c8 } .open { background: #eee }
.disagrees { outline: 2px solid #a33b00 } td a { color: inherit }
section { border-top: 1px solid #ddd; margin-top: 2em } pre { overflow-x: auto; background: #f7f7f7; padding: .8em }
)";

/// What a marked cell leads to.
struct Explanation {
  std::string rules;
  const MatrixCell* cell = nullptr;
  std::string text;
  /// The explanation with this rule set's name taken out: what it is compared by.
  std::string key;
  /// Further rule sets under which it reads the same.
  std::vector<std::string> same_under;
};

std::string without(std::string text, std::string_view name) {
  for (std::size_t at = text.find(name); at != std::string::npos; at = text.find(name, at)) text.erase(at, name.size());
  return text;
}

/// Empty where nothing has to be said, or nobody asked for it.
std::string explanation_of(const MatrixCell& cell) {
  if (!cell.bad || !cell.findings.empty()) return cell.explanation;
  return fmt::format(
      "Seen: {}. That is not what the test asks for, and breaks no promise: it costs memory or time, or is an error "
      "that "
      "these rules return.\n",
      litmus::name_of(cell.observation));
}

/// Adds the text to those of its row, and returns its number.
std::size_t place(std::vector<Explanation>& known, const std::string& rules, const MatrixCell& cell, std::string text) {
  std::string key = without(text, rules);
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (known[i].key != key) continue;
    known[i].same_under.push_back(rules);
    return i;
  }
  known.push_back({rules, &cell, std::move(text), std::move(key), {}});
  return known.size() - 1;
}

std::string_view kind_of(const MatrixCell& cell) {
  switch (mark_of(cell)[0]) {
    case '.':
    case '-':
      return "good";
    case '+':
      return "beside";
    case 'X':
    case 'x':
      return "bad";
    default:
      return "open";
  }
}

/// "linux-5.9: Sometimes; sources say Never; wrong COW: stale DMA"
std::string hint_of(const std::string& rules, const MatrixCell& cell) {
  std::string text = fmt::format("{}: {}", rules, litmus::name_of(cell.observation));
  text += cell.statement ? fmt::format("; sources say {}", litmus::name_of(*cell.statement)) : "; no source speaks";
  for (const std::string& finding : cell.findings) text += "; " + finding;
  return text;
}

/// Where a row stands in the page: two tests of one name lie in two folders.
std::string anchor(const MatrixRow& row) { return row.file.substr(0, row.file.rfind(".litmus")); }
/// Where one of its explanations stands.
std::string anchor(const MatrixRow& row, std::size_t number) { return fmt::format("{}-{}", anchor(row), number + 1); }

std::string cell_html(const MatrixRow& row, const std::string& rules, const MatrixCell& cell,
                      std::vector<Explanation>& known) {
  std::string mark = xml_text(mark_of(cell));
  if (std::string text = explanation_of(cell); !text.empty()) {
    const std::size_t number = place(known, rules, cell, std::move(text));
    mark = fmt::format("<a href=\"#{}\">{}</a>", xml_text(anchor(row, number)), mark);
  }
  return fmt::format("<td class=\"{}{}\" title=\"{}\">{}</td>", kind_of(cell), disagrees(cell) ? " disagrees" : "",
                     xml_text(hint_of(rules, cell)), mark);
}

/// "R5 (5.9-rc5-5.9-rc7)"
std::string with_kernels(const Matrix& matrix, const std::string& rules) {
  for (const Matrix::Column& column : matrix.columns) {
    if (column.name == rules && !column.kernels.empty()) return fmt::format("{} ({})", rules, column.kernels);
  }
  return rules;
}

std::string explanations_html(const Matrix& matrix, const MatrixRow& row, const std::vector<Explanation>& known) {
  std::string text;
  for (std::size_t i = 0; i < known.size(); ++i) {
    const Explanation& one = known[i];
    text += fmt::format("<section id=\"{}\"><h3><a href=\"#{}\">{}</a> under {}</h3>\n", xml_text(anchor(row, i)),
                        xml_text(anchor(row)), xml_text(row.test), xml_text(with_kernels(matrix, one.rules)));
    if (!row.doc.empty()) text += fmt::format("<p>{}</p>\n", xml_text(row.doc));
    if (!row.source.empty()) text += fmt::format("<p>Source: {}</p>\n", xml_text(row.source));
    if (!one.same_under.empty()) {
      text += "<p>The same under";
      for (const std::string& rules : one.same_under) text += ' ' + xml_text(rules);
      text += ".</p>\n";
    }
    if (disagrees(*one.cell)) text += fmt::format("<p class=\"bad\">{}</p>\n", xml_text(hint_of(one.rules, *one.cell)));
    text += fmt::format("<pre>{}</pre></section>\n", xml_text(one.text));
  }
  return text;
}

/// The folder that the test lies in.
std::string_view family_of(const MatrixRow& row) {
  const std::size_t end = row.file.rfind('/');
  return end == std::string::npos ? std::string_view{} : std::string_view(row.file).substr(0, end);
}

/// A heading of the table, with what leads there.
struct Family {
  std::string_view name;
  std::size_t tests = 0;
  /// Cells that a source or the default rules contradict.
  std::size_t disagreements = 0;
};

std::vector<Family> families_of(const Matrix& matrix) {
  std::vector<Family> families;
  for (const MatrixRow& row : matrix.rows) {
    if (families.empty() || families.back().name != family_of(row)) families.push_back({family_of(row)});
    Family& family = families.back();
    ++family.tests;
    family.disagreements += static_cast<std::size_t>(std::count_if(row.cells.begin(), row.cells.end(), disagrees));
    for (const MatrixRow::Changed& other : row.changed) family.disagreements += disagrees(other.cell) ? 1 : 0;
  }
  return families;
}

std::string families_html(const Matrix& matrix) {
  const std::vector<Family> families = families_of(matrix);
  if (families.size() < 2) return {};
  std::string text = "<nav><p>Families:\n";
  for (const Family& family : families) {
    const std::string told =
        family.disagreements == 0 ? std::string() : fmt::format(", <b>{} disagree</b>", family.disagreements);
    text += fmt::format("<a href=\"#family-{0}\">{0}</a>&#160;({1}{2})\n", xml_text(family.name), family.tests, told);
  }
  return text + "</p></nav>\n";
}

std::string heads_html(const Matrix& matrix) {
  std::string text = "<thead><tr><th></th>";
  for (const Matrix::Column& column : matrix.columns) {
    text += fmt::format("<th title=\"{}\"><span>{}</span></th>", xml_text(column.kernels), xml_text(column.name));
  }
  return text + "</tr></thead>\n";
}

std::string changed_html(const MatrixRow& row, const std::vector<std::string>& cells) {
  std::string text;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    text += fmt::format("<tr><th>{}</th>{}<td>{}</td></tr>\n", xml_text(row.test), cells[i],
                        xml_text(row.changed[i].rules));
  }
  return text;
}

}  // namespace

std::string matrix_html(const Matrix& matrix) {
  std::string table;
  std::string changed;
  std::string explanations;
  std::string_view family;
  for (const MatrixRow& row : matrix.rows) {
    if (family_of(row) != family) {
      family = family_of(row);
      table += fmt::format("<tr><th class=\"family\" id=\"family-{1}\" colspan=\"{0}\">{1}</th></tr>\n",
                           matrix.columns.size() + 1, xml_text(family));
    }
    std::vector<Explanation> known;
    table += fmt::format("<tr><th id=\"{}\" title=\"{}\">{}</th>", xml_text(anchor(row)), xml_text(row.doc),
                         xml_text(row.test));
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      table += cell_html(row, matrix.columns[i].name, row.cells[i], known);
    }
    table += "</tr>\n";
    std::vector<std::string> cells;
    for (const MatrixRow::Changed& other : row.changed) cells.push_back(cell_html(row, other.rules, other.cell, known));
    changed += changed_html(row, cells);
    explanations += explanations_html(matrix, row, known);
  }
  std::string text = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\"><head><meta charset=\"utf-8\"/>"
      "<title>cowherd matrix</title><style>{}</style></head><body>\n<h1>cowherd matrix</h1>\n<pre>{}</pre>\n"
      "<p><span class=\"good\">.</span> as it should be, <span class=\"bad\">X</span> the bad outcome, both as "
      "published sources say; <span class=\"disagrees\">!</span> they say otherwise; - and x where no source speaks; "
      "<span class=\"beside\">+</span> a good verdict with some other finding beside it; "
      "<span class=\"open\">?</span> without an answer, E could not run. A marked cell leads to what went "
      "wrong.</p>\n{}<table>{}<tbody>\n{}</tbody></table>\n",
      kStyle, xml_text(summary_text(matrix)), families_html(matrix), heads_html(matrix), table);
  if (!changed.empty()) {
    text += "<h2>Under changed rule sets that the tests name</h2>\n<table><tbody>\n" + changed + "</tbody></table>\n";
  }
  if (!explanations.empty()) text += "<h2>Findings</h2>\n" + explanations;
  return text + "</body></html>\n";
}

}  // namespace cowherd::report
