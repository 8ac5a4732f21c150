#include "report/matrix.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "report/sample_test.hpp"

namespace cowherd::report {
namespace {

using litmus::Verdict;

MatrixCell cell(const litmus::Program& program, std::uint64_t positive, std::uint64_t negative,
                std::optional<Verdict> statement, bool finding = false) {
  check::CheckResult result = sample_result(positive, negative);
  if (finding) result.findings.push_back(sample_finding(program));
  const Standard standard = {.by_statement = true, .statement = statement, .default_rules = false};
  return cell_of(judge("a", program, result, standard), statement);
}

TEST(Matrix, MarksSayWhatWasSeenAndWhatIsSaid) {
  const litmus::Program program = sample_program();
  struct Case {
    std::uint64_t positive;
    std::uint64_t negative;
    std::optional<Verdict> statement;
    bool finding;
    const char* mark;
  };
  for (const Case& c : {Case{0, 1, Verdict::kNever, false, "."}, Case{0, 1, Verdict::kSometimes, false, ".!"},
                        Case{1, 0, Verdict::kSometimes, true, "X"}, Case{1, 0, Verdict::kNever, true, "X!"},
                        Case{0, 1, std::nullopt, false, "-"}, Case{1, 1, std::nullopt, true, "x"},
                        Case{0, 1, Verdict::kNever, true, "+"}}) {
    EXPECT_EQ(mark_of(cell(program, c.positive, c.negative, c.statement, c.finding)), c.mark);
  }
  MatrixCell unfinished = cell(program, 0, 1, Verdict::kNever);
  unfinished.judgement = Judgement::kTimeLimit;
  EXPECT_EQ(mark_of(unfinished), "?");
  unfinished.judgement = Judgement::kError;
  EXPECT_EQ(mark_of(unfinished), "E");
}

Matrix sample_matrix() {
  const litmus::Program program = sample_program();
  Matrix matrix;
  matrix.columns = {{"R5", "5.9-rc5"}, {"cow", ""}, {"R10", "5.18"}};
  matrix.rows = {
      {"dir/one.litmus",
       "one",
       {cell(program, 1, 0, Verdict::kSometimes), cell(program, 0, 1, Verdict::kNever),
        cell(program, 1, 0, Verdict::kNever)},
       {},
       "",
       ""},
      {"dir/second.litmus",
       "second",
       {cell(program, 0, 1, std::nullopt), cell(program, 0, 1, Verdict::kNever), cell(program, 1, 0, Verdict::kNever)},
       {},
       "",
       ""}};
  return matrix;
}

TEST(Matrix, TextHasUprightHeadsALegendAndEveryDisagreement) {
  const std::string text = matrix_text(sample_matrix(), 120);
  EXPECT_TRUE(
      text.starts_with("         c R\n"
                       "       R o 1\n"
                       "       5 w 0\n"
                       "one    X . X!\n"
                       "second - . X!\n"
                       "\n"
                       "Marks: "))
      << text;
  EXPECT_TRUE(
      text.ends_with("Columns:\n"
                     "  R5   5.9-rc5\n"
                     "  R10  5.18\n"
                     "2 tests under 3 rule sets: 3 of 5 published statements agree, 2 disagreements\n"
                     "  one: Always, and sources say Never, under R10\n"
                     "  second: Always, and sources say Never, under R10\n"))
      << text;
}

TEST(Matrix, AWideTableIsCutIntoGroups) {
  const std::string text = matrix_text(sample_matrix(), 11);
  EXPECT_TRUE(
      text.starts_with("         c\n"
                       "       R o\n"
                       "       5 w\n"
                       "one    X .\n"
                       "second - .\n"
                       "\n"
                       "       R\n"
                       "       1\n"
                       "       0\n"
                       "one    X!\n"
                       "second X!\n"))
      << text;
}

TEST(Matrix, ChangedRuleSetsFollowTheTable) {
  const litmus::Program program = sample_program();
  Matrix matrix = sample_matrix();
  matrix.rows[0].changed = {{"R5,reuse=never", cell(program, 1, 0, Verdict::kNever)},
                            {"R7,pinned=exact", cell(program, 0, 1, Verdict::kNever)}};
  const std::string text = matrix_text(matrix, 120);
  EXPECT_NE(text.find("Under changed rule sets that the tests name:\n"
                      "one    X! R5,reuse=never\n"
                      "one    .  R7,pinned=exact\n"
                      "\n"
                      "Marks: "),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("4 of 7 published statements agree, 3 disagreements\n"
                      "  one: Always, and sources say Never, under R10 R5,reuse=never\n"),
            std::string::npos)
      << text;
  const std::string json = matrix_json(matrix);
  EXPECT_NE(json.find("\"rules\":\"R5,reuse=never\""), std::string::npos);
  EXPECT_NE(json.find("\"disagreements\":3"), std::string::npos);
}

TEST(Matrix, ThePageHasALinkToEachFindingAndOneTextForAllThatReadTheSame) {
  const litmus::Program program = sample_program();
  Matrix matrix = sample_matrix();
  const MatrixCell found = cell(program, 1, 0, Verdict::kSometimes, true);
  ASSERT_NE(found.explanation.find("A pinned page is shared."), std::string::npos) << found.explanation;
  matrix.rows[0].cells[0] = found;
  matrix.rows[0].cells[2] = found;
  std::string& other = matrix.rows[0].cells[2].explanation;
  for (std::size_t at = other.find("R5"); at != std::string::npos; at = other.find("R5")) other.replace(at, 2, "R10");
  matrix.rows[0].doc = "a < b";
  const std::string text = matrix_html(matrix);
  EXPECT_NE(text.find("<th id=\"dir/one\" title=\"a &lt; b\">one</th>"), std::string::npos) << text;
  EXPECT_NE(text.find("<a href=\"#dir/one-1\">X</a>"), std::string::npos) << text;
  EXPECT_NE(text.find("<section id=\"dir/one-1\"><h3><a href=\"#dir/one\">one</a> under R5 (5.9-rc5)</h3>\n"
                      "<p>a &lt; b</p>\n<p>The same under R10.</p>"),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find("one-2"), std::string::npos);
  EXPECT_NE(text.find("<a href=\"#dir/second-1\">X!</a>"), std::string::npos);
  EXPECT_NE(text.find("<pre>Seen: Always. That is not what the test asks for"), std::string::npos);
  EXPECT_NE(text.find("title=\"R5: Always; sources say Sometimes; wrong COW: stale DMA\""), std::string::npos);
  EXPECT_NE(text.find("<th class=\"family\" id=\"family-dir\" colspan=\"4\">dir</th>"), std::string::npos);
  EXPECT_NE(text.find("2 tests under 3 rule sets"), std::string::npos);
}

TEST(Matrix, ThePageBeginsWithItsFamilies) {
  Matrix matrix = sample_matrix();
  EXPECT_EQ(matrix_html(matrix).find("<nav>"), std::string::npos);
  matrix.rows[1].file = "other/second.litmus";
  const std::string text = matrix_html(matrix);
  EXPECT_NE(text.find("<a href=\"#family-dir\">dir</a>&#160;(1, <b>1 disagree</b>)\n"
                      "<a href=\"#family-other\">other</a>&#160;(1, <b>1 disagree</b>)\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("<th class=\"family\" id=\"family-other\""), std::string::npos);
}

TEST(Matrix, JsonHasACellToALine) {
  const std::string text = matrix_json(sample_matrix());
  std::vector<nlohmann::json> lines;
  for (std::size_t begin = 0; begin < text.size(); begin = text.find('\n', begin) + 1) {
    lines.push_back(nlohmann::json::parse(text.substr(begin, text.find('\n', begin) - begin)));
  }
  ASSERT_EQ(lines.size(), 7u);
  EXPECT_EQ(lines[2]["rules"], "R10");
  EXPECT_EQ(lines[2]["disagrees"], true);
  EXPECT_EQ(lines[2]["statement"], "Never");
  EXPECT_FALSE(lines[3].contains("statement"));
  EXPECT_EQ(lines[6]["disagreements"], 2);
}

}  // namespace
}  // namespace cowherd::report
