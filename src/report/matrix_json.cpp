#include <nlohmann/json.hpp>

#include "litmus/spelling.hpp"
#include "report/matrix.hpp"
#include "report/reporter.hpp"

namespace cowherd::report {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const MatrixRow& row, const std::string& rules, const MatrixCell& cell) {
  Json json = {{"schema", kJsonSchema}, {"type", "cell"}, {"file", row.file},
               {"test", row.test},      {"rules", rules}, {"judgement", name_of(cell.judgement)},
               {"mark", mark_of(cell)}};
  if (cell.judgement != Judgement::kError) {
    json["observation"] = litmus::name_of(cell.observation);
    json["bad"] = cell.bad;
    json["findings"] = cell.findings;
  }
  if (cell.statement) json["statement"] = litmus::name_of(*cell.statement);
  json["disagrees"] = disagrees(cell);
  json["reason"] = cell.reason;
  return json;
}

std::string line_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n'; }

}  // namespace

std::string matrix_json(const Matrix& matrix) {
  std::string text;
  std::size_t disagreements = 0;
  std::size_t statements = 0;
  const auto add = [&](const MatrixRow& row, const std::string& rules, const MatrixCell& cell) {
    text += line_of(json_of(row, rules, cell));
    disagreements += disagrees(cell) ? 1 : 0;
    statements += cell.statement ? 1 : 0;
  };
  for (const MatrixRow& row : matrix.rows) {
    for (std::size_t i = 0; i < row.cells.size(); ++i) add(row, matrix.columns[i].name, row.cells[i]);
    for (const MatrixRow::Changed& changed : row.changed) add(row, changed.rules, changed.cell);
  }
  return text + line_of({{"schema", kJsonSchema},
                         {"type", "summary"},
                         {"tests", matrix.rows.size()},
                         {"rule_sets", matrix.columns.size()},
                         {"statements", statements},
                         {"disagreements", disagreements}});
}

}  // namespace cowherd::report
