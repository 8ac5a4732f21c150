#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "cow/decision_table.hpp"
#include "cow/rule_rows.hpp"
#include "cow/rules_text.hpp"

// docs/rules.md repeats the tables of this folder between marks. With COWHERD_UPDATE_DOCS set in the environment the
// test writes them there; without, it compares.

namespace cowherd {
namespace {

std::string decisions_text() {
  std::ostringstream out;
  for (const DecisionInfo& info : decision_table()) {
    out << "### `" << info.name << "`: " << info.question << "\n\n" << info.provenance << ".\n\n";
    out << "| value | meaning |\n|---|---|\n";
    const std::string_view by_default = value_name(info.id, kCowherdRules);
    for (const DecisionValue& value : info.values) {
      const bool mark = value.name == by_default;
      out << "| " << (mark ? "**`" : "`") << value.name << (mark ? "`** | " : "` | ") << value.meaning << " |\n";
    }
    out << "\n";
  }
  return out.str();
}

std::string differences(const RuleRow& from, const RuleRow& to) {
  std::string text;
  for (const Difference& d : diff(from.rules, to.rules)) {
    text += (text.empty() ? "`" : " `") + std::string(decision_name(d.decision)) + "=" + std::string(d.right) + "`";
  }
  return text.empty() ? "the same" : text;
}

std::string rows_text() {
  std::ostringstream out;
  out << "| row | kernels | in short | difference |\n|---|---|---|---|\n";
  const RuleRow& cowherd = *find_rules("cowherd");
  const RuleRow* before = nullptr;
  for (const RuleRow& row : all_rows()) {
    const bool version = !row.representative.empty();
    const RuleRow& base = version && before != nullptr ? *before : cowherd;
    out << "| " << row.id << " | " << row.kernels << " | " << row.title << " | ";
    out << (&row == &cowherd ? "the default" : differences(base, row)) << " |\n";
    if (version) before = &row;
  }
  for (const RuleRow& row : variant_rows()) {
    out << "| " << row.id << " | " << row.kernels << " | " << row.title << " | (" << row.variant_of << ") "
        << differences(*find_rules(row.variant_of), row) << " |\n";
  }
  return out.str();
}

std::string notes_text() {
  std::ostringstream out;
  for (const std::span<const RuleRow> rows : {all_rows(), variant_rows()}) {
    for (const RuleRow& row : rows) {
      out << "- **" << row.id << "**";
      if (!row.commits.empty()) out << " (" << row.commits << ")";
      out << "\n";
      for (const RowNote& note : row.notes) out << "  - [" << mark_of(note.evidence) << "] " << note.text << "\n";
    }
  }
  return out.str();
}

std::string versions_text() {
  std::ostringstream out;
  out << "| row | versions |\n|---|---|\n";
  std::string_view last;
  for (const KernelAlias& version : linux_versions()) {
    if (version.row != last) out << (last.empty() ? "" : " |\n") << "| " << version.row << " |";
    last = version.row;
    out << " " << version.name;
  }
  out << " |\n";
  return out.str();
}

std::string peers_text() {
  std::ostringstream out;
  out << "| peer | row |\n|---|---|\n";
  for (const KernelAlias& peer : peers()) out << "| " << peer.name << " | " << peer.row << " |\n";
  return out.str();
}

struct Section {
  const char* name;
  std::string text;
};

/// The document with every section as the tables have it; fails the test for a section that the document lacks.
std::string with_sections(std::string document, const std::vector<Section>& sections) {
  for (const Section& section : sections) {
    const std::string begin = "<!-- " + std::string(section.name) + ": begin -->\n";
    const std::string end = "<!-- " + std::string(section.name) + ": end -->";
    const std::size_t from = document.find(begin);
    const std::size_t to = document.find(end);
    if (from == std::string::npos || to == std::string::npos || to < from) {
      ADD_FAILURE() << "no section '" << section.name << "' in docs/rules.md";
      continue;
    }
    const std::size_t text = from + begin.size();
    document.replace(text, to - text, "\n" + section.text + (section.text.ends_with("\n\n") ? "" : "\n"));
  }
  return document;
}

std::filesystem::path document_path() {
  const char* source = std::getenv("COWHERD_SOURCE");
  return std::filesystem::path(source != nullptr ? source : COWHERD_SOURCE_DIR) / "docs" / "rules.md";
}

TEST(RulesDocument, RepeatsTheTables) {
  std::ifstream file(document_path());
  ASSERT_TRUE(file) << "cannot read " << document_path();
  std::stringstream content;
  content << file.rdbuf();
  const std::string want = with_sections(content.str(), {{"decisions", decisions_text()},
                                                         {"rows", rows_text()},
                                                         {"notes", notes_text()},
                                                         {"versions", versions_text()},
                                                         {"peers", peers_text()}});
  if (std::getenv("COWHERD_UPDATE_DOCS") != nullptr) {
    std::ofstream(document_path()) << want;
    return;
  }
  EXPECT_TRUE(content.str() == want) << "docs/rules.md is not up to date: run this test with COWHERD_UPDATE_DOCS=1";
}

}  // namespace
}  // namespace cowherd
