#include <gtest/gtest.h>

#include "report/reporter.hpp"
#include "report/sample_test.hpp"
#include "report/xml.hpp"

namespace cowherd::report {
namespace {

TEST(XmlText, EscapesMarkupAndReplacesWhatXmlCannotHold) {
  struct Case {
    std::string_view text;
    std::string_view xml;
  };
  using namespace std::string_view_literals;
  const Case cases[] = {
      {"a<b>&\"'c", "a&lt;b&gt;&amp;&quot;&apos;c"},
      {"line\n\ttab", "line\n\ttab"},
      {"bell\a nul\0end"sv,
       "bell\xef\xbf\xbd nul\xef\xbf\xbd"
       "end"},
      {"caf\xc3\xa9 \xf0\x9f\x90\x84", "caf\xc3\xa9 \xf0\x9f\x90\x84"},
      {"\xff\xc3", "\xef\xbf\xbd\xef\xbf\xbd"},
      {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},
      {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
      {"\xef\xbf\xbf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
  };
  for (const Case& c : cases) EXPECT_EQ(xml_text(c.text), c.xml);
}

TEST(Junit, ASuiteToAFileAndACaseToARuleSet) {
  const litmus::Program program = sample_program();
  const Standard known = {.by_statement = true, .statement = litmus::Verdict::kSometimes, .default_rules = false};
  std::string text;
  const auto reporter = make_junit_reporter([&text](std::string_view part) { text += part; }, {.traces = false});
  reporter->begin(2, 2);
  reporter->run(judge("a<b", program, sample_result_with_finding(program), known));
  reporter->run(judge("a<b", program, sample_result(0, 1), {}));
  reporter->bad_file("c", "it's bad");
  reporter->end({});
  EXPECT_EQ(text,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<testsuites name=\"cowherd\" tests=\"3\" failures=\"0\" errors=\"1\" skipped=\"1\">\n"
            "  <testsuite name=\"a&lt;b\" tests=\"2\" failures=\"0\" errors=\"0\" skipped=\"1\">\n"
            "    <testcase classname=\"a&lt;b\" name=\"R5\"><skipped type=\"xfail\" message=\"expected: wrong COW: "
            "stale DMA\"/></testcase>\n"
            "    <testcase classname=\"a&lt;b\" name=\"R5\"></testcase>\n"
            "  </testsuite>\n"
            "  <testsuite name=\"c\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\">\n"
            "    <testcase classname=\"c\" name=\"read\"><error message=\"unreadable\">it&apos;s "
            "bad</error></testcase>\n"
            "  </testsuite>\n"
            "</testsuites>\n");
}

TEST(Junit, TimesOnRequest) {
  const litmus::Program program = sample_program();
  std::string text;
  const auto reporter = make_junit_reporter([&text](std::string_view part) { text += part; }, {.times = true});
  reporter->begin(1, 1);
  reporter->run(judge("a", program, sample_result(1, 0), {}));
  reporter->end({});
  EXPECT_NE(text.find("name=\"R5\" time=\"0.250\"><failure type=\"FAIL\""), std::string::npos) << text;
}

}  // namespace
}  // namespace cowherd::report
