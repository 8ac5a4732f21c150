#include "cli/arguments.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace cowherd::cli {
namespace {

using Words = std::vector<std::string>;

template <class T>
T parsed(const Words& words) {
  Arguments arguments = parse_arguments(words);
  if (const auto* answer = std::get_if<Answer>(&arguments)) ADD_FAILURE() << answer->text;
  EXPECT_TRUE(std::holds_alternative<T>(arguments));
  return std::holds_alternative<T>(arguments) ? std::get<T>(arguments) : T{};
}

Answer answer(const Words& words) {
  const Arguments arguments = parse_arguments(words);
  EXPECT_TRUE(std::holds_alternative<Answer>(arguments));
  return std::holds_alternative<Answer>(arguments) ? std::get<Answer>(arguments) : Answer{};
}

TEST(Arguments, CheckTakesEverythingItPromises) {
  const auto check = parsed<CheckArguments>({"check",
                                             "--rules",
                                             "linux-5.9,reuse=count",
                                             "a.litmus",
                                             "--rules",
                                             "R5",
                                             "--judge",
                                             "--format",
                                             "ktap",
                                             "-j",
                                             "3",
                                             "--max-memory",
                                             "64M",
                                             "--max-states",
                                             "1000",
                                             "--timeout",
                                             "1m",
                                             "--grain",
                                             "op",
                                             "--unreduced",
                                             "-o",
                                             "out",
                                             "-q",
                                             "b",
                                             "--no-time"});
  EXPECT_EQ(check.files, (Words{"a.litmus", "b"}));
  EXPECT_EQ(check.rules, (Words{"linux-5.9,reuse=count", "R5"}));
  EXPECT_TRUE(check.judge);
  EXPECT_TRUE(check.unreduced);
  EXPECT_EQ(check.output.format, Format::kKtap);
  EXPECT_EQ(check.output.path, "out");
  EXPECT_EQ(check.output.verbosity, -1);
  EXPECT_TRUE(check.output.no_time);
  EXPECT_EQ(check.search.jobs, 3u);
  EXPECT_EQ(check.search.max_memory, ByteCount{64u << 20});
  EXPECT_EQ(check.search.max_states, 1000u);
  EXPECT_EQ(check.search.timeout, std::chrono::minutes(1));
}

TEST(Arguments, AFileWithoutVerbIsChecked) {
  EXPECT_EQ(parsed<CheckArguments>({"dir/a.litmus"}).files, Words{"dir/a.litmus"});
  EXPECT_EQ(parsed<CheckArguments>({"-"}).files, Words{"-"});
  EXPECT_EQ(parsed<CheckArguments>({"@all"}).files, Words{"@all"});
  EXPECT_EQ(parsed<CheckArguments>({"-v", "a.litmus"}).output.verbosity, 1);
}

TEST(Arguments, Herd7SpellingsWithOneDash) {
  const auto check = parsed<CheckArguments>({"-timeout", "5.0", "-show", "prop", "-q", "a.litmus", "-o", "out"});
  EXPECT_EQ(check.search.timeout, std::chrono::seconds(5));
  EXPECT_TRUE(check.show_traces);
  EXPECT_FALSE(parsed<CheckArguments>({"-show", "none", "a.litmus"}).show_traces);
  EXPECT_EQ(answer({"-version"}).text, answer({"--version"}).text);
  EXPECT_EQ(parsed<CheckArguments>({"check", "-j4", "a"}).search.jobs, 4u);
}

TEST(Arguments, WordsBehindTwoDashesAreFiles) {
  EXPECT_EQ(parsed<CheckArguments>({"check", "--", "-timeout"}).files, Words{"-timeout"});
}

TEST(Arguments, WrongUsageIsStatusTwoAndOnStderr) {
  const Words cases[] = {{},
                         {"chekc", "a.litmus"},
                         {"check"},
                         {"fmt"},
                         {"matrix"},
                         {"check", "--format", "yaml", "a"},
                         {"check", "--timeout", "soon", "a"},
                         {"check", "--max-memory", "-1", "a"},
                         {"check", "-j", "0", "a"},
                         {"check", "--rules"},
                         {"check", "--nosuch", "a"},
                         {"check", "--grain", "half", "a"},
                         {"rules", "a", "b", "c"},
                         {"fmt", "--check", "--write", "a"},
                         {"gen", "--max-ops", "1000"},
                         {"gen", "--enumerate", "0"},
                         {"completion", "fish"}};
  for (const Words& words : cases) {
    const Answer refused = answer(words);
    EXPECT_EQ(refused.status, 2) << testing::PrintToString(words);
    EXPECT_TRUE(refused.to_stderr) << testing::PrintToString(words);
    EXPECT_FALSE(refused.text.empty());
  }
}

TEST(Arguments, SlipsAreUnderstood) {
  EXPECT_NE(answer({"chekc", "a"}).text.find("did you mean 'check'?"), std::string::npos);
  EXPECT_NE(answer({"check", "--ruels", "R5", "a"}).text.find("did you mean '--rules'?"), std::string::npos);
}

TEST(Arguments, BenchTakesRowsRoundsAndSizes) {
  const auto bench = std::get<BenchArguments>(
      parse_arguments({"bench", "--quick", "--rows", "1,5", "--rows", "fork", "--rounds", "7", "--size", "64M"}));
  EXPECT_EQ(bench.rows, (std::vector<std::string>{"1,5", "fork"}));
  EXPECT_EQ(bench.rounds, 7u);
  EXPECT_TRUE(bench.quick);
  EXPECT_EQ(bench.size, ByteCount{64 << 20});
  EXPECT_EQ(answer({"bench", "--rounds", "0"}).status, 2);
  EXPECT_EQ(answer({"bench", "--size", "none"}).status, 2);
}

TEST(Arguments, LiveTakesEverythingItPromises) {
  const auto live = parsed<LiveArguments>({"live", "--judge", "--limit", "7", "--patience", "500ms", "-q", "a.litmus"});
  EXPECT_TRUE(live.judge);
  EXPECT_EQ(live.limit, 7u);
  EXPECT_EQ(live.patience, std::chrono::milliseconds{500});
  EXPECT_EQ(live.files, Words{"a.litmus"});
  EXPECT_EQ(live.pin_by, live::PinBy::kClosest);
  EXPECT_EQ(parsed<LiveArguments>({"live", "--pin-by", "cuda", "a.litmus"}).pin_by, live::PinBy::kCard);
  EXPECT_EQ(parsed<LiveArguments>({"live", "--pin-by", "rdma", "a.litmus"}).pin_by, live::PinBy::kRdma);
  EXPECT_TRUE(answer({"live", "--pin-by", "siw", "a.litmus"}).to_stderr);
  EXPECT_EQ(*parsed<LiveArguments>({"live", "--against", "R16", "--random", "5"}).random, 5u);
  EXPECT_TRUE(answer({"live", "--against", "R16"}).to_stderr) << "how many programs?";
  EXPECT_TRUE(answer({"live", "--all", "--random", "5", "a.litmus"}).to_stderr);
  EXPECT_TRUE(answer({"live"}).to_stderr) << "no file";
}

TEST(Arguments, EveryVerbHasHelpWithAnExample) {
  const std::vector<VerbWords> verbs = all_words();
  ASSERT_EQ(verbs.size(), 10u);
  for (const VerbWords& verb : verbs) {
    const Answer help = answer({verb.verb, "--help"});
    EXPECT_EQ(help.status, 0);
    EXPECT_FALSE(help.to_stderr);
    EXPECT_NE(help.text.find("Example:\n  cowherd " + verb.verb), std::string::npos) << help.text;
    EXPECT_EQ(answer({"help", verb.verb}).text, help.text);
    EXPECT_NE(std::find(verb.options.begin(), verb.options.end(), "--help"), verb.options.end());
  }
}

TEST(Amounts, Durations) {
  using std::chrono::milliseconds;
  EXPECT_EQ(parse_duration("10"), milliseconds(10000));
  EXPECT_EQ(parse_duration("1.5s"), milliseconds(1500));
  EXPECT_EQ(parse_duration("250ms"), milliseconds(250));
  EXPECT_EQ(parse_duration("2h"), milliseconds(7200000));
  for (const char* bad : {"", "0", "-1", "1d", "1 s", "s", "nan", "inf", "1e300", "0x10"}) {
    EXPECT_EQ(parse_duration(bad), std::nullopt) << bad;
  }
}

TEST(Amounts, Sizes) {
  EXPECT_EQ(parse_size("4096"), ByteCount{4096});
  EXPECT_EQ(parse_size("1.5K"), ByteCount{1536});
  EXPECT_EQ(parse_size("2GiB"), ByteCount{2ull << 30});
  for (const char* bad : {"", "0", "-1", "1X", "0.1", "1e300", "G"}) {
    EXPECT_EQ(parse_size(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace cowherd::cli
