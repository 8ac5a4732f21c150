#include "cli/rules_json.hpp"

#include <nlohmann/json.hpp>

#include "cow/decision_table.hpp"
#include "cow/rule_rows.hpp"
#include "cow/rules_text.hpp"

namespace cowherd::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchema = 1;

Json decisions_of(const Rules& rules) {
  Json json = Json::object();
  for (const DecisionInfo& info : decision_table()) json[std::string(info.name)] = value_name(info.id, rules);
  return json;
}

Json row_json(const RuleRow& row) {
  Json notes = Json::array();
  for (const RowNote& note : row.notes) notes.push_back({{"evidence", mark_of(note.evidence)}, {"text", note.text}});
  Json json = {{"schema", kSchema},  {"type", "row"},          {"name", row.id},
               {"title", row.title}, {"kernels", row.kernels}, {"commits", row.commits}};
  if (!row.variant_of.empty()) json["variant_of"] = row.variant_of;
  json["decisions"] = decisions_of(row.rules);
  json["notes"] = std::move(notes);
  return json;
}

std::string line_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n'; }

}  // namespace

std::string rows_json() {
  std::string text;
  for (const RuleRow& row : all_rows()) text += line_of(row_json(row));
  for (const RuleRow& row : variant_rows()) text += line_of(row_json(row));
  return text;
}

std::string rules_json(const std::string& name, const Rules& rules) {
  return line_of({{"schema", kSchema}, {"type", "rules"}, {"name", name}, {"decisions", decisions_of(rules)}});
}

std::string difference_json(const std::string& left_name, const Rules& left, const std::string& right_name,
                            const Rules& right) {
  Json differences = Json::array();
  for (const Difference& difference : diff(left, right)) {
    differences.push_back(
        {{"decision", decision_name(difference.decision)}, {"left", difference.left}, {"right", difference.right}});
  }
  return line_of({{"schema", kSchema},
                  {"type", "difference"},
                  {"left", left_name},
                  {"right", right_name},
                  {"differences", std::move(differences)}});
}

}  // namespace cowherd::cli
