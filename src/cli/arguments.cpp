#include "cli/arguments.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <string_view>
#include <system_error>

#include "cli/version.hpp"
#include "cow/nearest.hpp"
#include "report/exit_status.hpp"

namespace cowherd::cli {
namespace {

constexpr int kUsage = static_cast<int>(report::ExitStatus::kInput);

/// All options of all verbs, and where their values go.
struct Parser {
  CLI::App app{"Fork, copy-on-write and pins: checks every interleaving of small tests against what may be observed."};
  CheckArguments check;
  MatrixArguments matrix;
  RulesArguments rules;
  FmtArguments fmt;
  SyntaxArguments syntax;
  GenArguments gen;
  BenchArguments bench;
  LiveArguments live;
  ProbeArguments probe;
  FingerprintArguments fingerprint;
  CompletionArguments completion;
  std::string ignored_show;

  Parser();

 private:
  CLI::App& verb(const char* name, const char* description, const char* example);
  static void add_output(CLI::App& app, OutputArguments& to, const std::map<std::string, Format>& formats);
  static void add_search(CLI::App& app, SearchArguments& to);
  void add_check();
  void add_matrix();
  void add_small_verbs();
  void add_bench();
  void add_live();
  void add_probe();
};

const std::map<std::string, Format> kAllFormats = {{"text", Format::kText},
                                                   {"json", Format::kJson},
                                                   {"ktap", Format::kKtap},
                                                   {"tap", Format::kTap},
                                                   {"junit", Format::kJunit}};
const std::map<std::string, litmus::Grain> kGrains = {
    {"op", litmus::Grain::kOperation}, {"operation", litmus::Grain::kOperation}, {"step", litmus::Grain::kStep}};
const std::map<std::string, check::FrameReuse> kReuses = {{"pools", check::FrameReuse::kPools},
                                                          {"immediate", check::FrameReuse::kImmediate}};
const std::map<std::string, ForkMode> kForkModes = {
    {"classic", ForkMode::kClassic}, {"leaves", ForkMode::kSharedLeaves}, {"subtrees", ForkMode::kSharedSubtrees}};
const std::map<std::string, live::PinBy> kPinBy = {{"closest", live::PinBy::kClosest},
                                                   {"cuda", live::PinBy::kCard},
                                                   {"io_uring", live::PinBy::kRing},
                                                   {"process_vm", live::PinBy::kCopy},
                                                   {"rdma", live::PinBy::kRdma}};
const std::map<std::string, Format> kTextAndJson = {{"text", Format::kText}, {"json", Format::kJson}};

template <class Target, class Value>
void add_choice(CLI::App& app, const std::string& name, Target& to, const std::map<std::string, Value>& choices,
                const std::string& help) {
  std::string words;
  for (const auto& [word, value] : choices) words += (words.empty() ? "" : "|") + word;
  app.add_option_function<std::string>(
         name,
         [&to, choices, name, words](const std::string& word) {
           const auto found = choices.find(word);
           if (found == choices.end()) {
             throw CLI::ValidationError(name, fmt::format("'{}' is none of {}", word, words));
           }
           to = found->second;
         },
         help)
      ->type_name(words);
}

template <class Value, class Read>
void add_amount(CLI::App& app, const std::string& name, std::optional<Value>& to, Read read, const std::string& type,
                const std::string& help) {
  app.add_option_function<std::string>(
         name,
         [&to, read, name, type](const std::string& word) {
           const auto value = read(word);
           if (!value) throw CLI::ValidationError(name, fmt::format("'{}' is no {}", word, type));
           to = *value;
         },
         help)
      ->type_name(type);
}

CLI::App& Parser::verb(const char* name, const char* description, const char* example) {
  CLI::App& sub = *app.add_subcommand(name, description);
  sub.footer(fmt::format("Example:\n  {}", example));
  return sub;
}

void Parser::add_output(CLI::App& app, OutputArguments& to, const std::map<std::string, Format>& formats) {
  add_choice(app, "--format", to.format, formats, "how results are written (text)");
  app.add_option("-o,--output", to.path, "write results to FILE, which appears complete or not at all")
      ->type_name("FILE");
  app.add_flag_callback(
      "-q,--quiet", [&to] { to.verbosity = -1; }, "say only what is not as expected");
  app.add_flag_callback(
      "-v,--verbose", [&to] { to.verbosity = 1; }, "the whole verdict of each test of a batch");
  app.add_flag("--time", to.times, "times and rates among the results, which then differ from run to run");
  app.add_flag("--no-time", to.no_time, "no time on stderr either");
}

void Parser::add_search(CLI::App& app, SearchArguments& to) {
  app.add_option("-j,--jobs", to.jobs, "tests checked at the same time (one to a processor)")
      ->check(CLI::Range(1u, 1024u).description(""))
      ->type_name("N");
  add_amount(app, "--max-memory", to.max_memory, parse_size, "SIZE", "stop a search at so many bytes (K, M, G)");
  app.add_option("--max-states", to.max_states, "stop a search after N states")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  add_amount(app, "--timeout", to.timeout, parse_duration, "TIME", "stop a search after TIME (10, 500ms, 2m)");
  add_choice(app, "--grain", to.grain, kGrains,
             "what runs without interruption: an operation, or a step of it (op, or what the test says)");
  add_amount(
      app, "--preemptions", to.preemptions,
      [](const std::string& word) -> std::optional<std::uint32_t> {
        if (word.empty() || word.size() > 3 || word.find_first_not_of("0123456789") != std::string::npos) {
          return std::nullopt;
        }
        return static_cast<std::uint32_t>(std::stoul(word));
      },
      "N", "only schedules with up to N switches away from a block that could have gone on");
  add_choice(app, "--reuse", to.reuse, kReuses,
             "at step grain, freed frames go back to the block's own share, or to whoever comes next (pools)");
  add_choice(app, "--fork", to.fork, kForkModes,
             "how fork passes page tables on: it copies them, shares the lowest ones, or whole subtrees (classic)");
}

void Parser::add_check() {
  CLI::App& sub = verb("check", "check tests against what may be observed, under one rule set or several",
                       "cowherd check --rules linux-5.9-rc5 litmus/fork-pin/pin-fork-write-dma.litmus");
  sub.add_option("files", check.files, "tests, folders, @index files, or - for standard input")->type_name("FILE");
  sub.add_option(
         "--rules", check.rules,
         "rule sets: NAME, NAME,decision=value, a .rules file, A..B, all, stated; `cowherd rules` lists them (cowherd)")
      ->allow_extra_args(false)
      ->type_name("SPEC");
  sub.add_flag("--judge", check.judge, "expect what the test's Rules: line says of the rule set");
  sub.add_option("--replay", check.replay, "follow a trace file or a schedule, and check every state's hash")
      ->type_name("FILE|STRING");
  sub.add_option_function<std::string>(
         "--show",
         [this](const std::string& what) {
           static const std::vector<std::string> kWithTrace = {"trace", "prop", "all", "wit", "pos"};
           if (what == "none") {
             check.show_traces = false;
           } else if (std::find(kWithTrace.begin(), kWithTrace.end(), what) == kWithTrace.end()) {
             throw CLI::ValidationError("--show", fmt::format("'{}' is none of trace|none", what));
           }
         },
         "whether findings come with their trace (trace)")
      ->type_name("trace|none");
  sub.add_flag_callback(
      "--no-minimise", [this] { check.minimise = false; }, "show findings as they were met");
  sub.add_flag("--unreduced", check.unreduced,
               "a slow cross-check: every interleaving one by one; at step grain, states told apart by raw stacks");
  sub.add_flag("--twice", check.twice, "take every step twice: does the same lead to the same?");
  sub.add_option("--traces", check.traces, "write each finding as a trace file for --replay")->type_name("FOLDER");
  add_search(sub, check.search);
  add_output(sub, check.output, kAllFormats);
}

void Parser::add_matrix() {
  CLI::App& sub = verb("matrix", "tests by rule sets, compared with what published sources say",
                       "cowherd matrix --rules linux-5.8..linux-5.19,cowherd litmus/fork-pin");
  sub.add_option("files", matrix.files, "tests, folders, @index files, or - for standard input")->type_name("FILE");
  sub.add_option("--rules", matrix.rules, "columns: as for check (every row of `cowherd rules`)")
      ->allow_extra_args(false)
      ->type_name("SPEC");
  sub.add_option("--width", matrix.width, "wrap at so many columns (the terminal's, else 120)")
      ->check(CLI::Range(40u, 10000u).description(""))
      ->type_name("N");
  sub.add_option("--html", matrix.html, "write a page with the table and every finding explained too")
      ->type_name("FILE");
  add_search(sub, matrix.search);
  add_output(sub, matrix.output, kTextAndJson);
}

void Parser::add_small_verbs() {
  CLI::App& rules_verb =
      verb("rules", "the rule sets: all, one, or the difference between two", "cowherd rules linux-5.8 linux-5.9");
  rules_verb.add_option("names", rules.names, "none: all; one: its decisions; two: what differs")
      ->type_name("NAME")
      ->expected(0, 2);
  add_output(rules_verb, rules.output, kTextAndJson);

  CLI::App& fmt_verb = verb("fmt", "write tests in their one canonical form", "cowherd fmt --check litmus");
  fmt_verb.add_option("files", fmt.files, "tests, folders, @index files, or - for standard input")->type_name("FILE");
  CLI::Option* check_flag = fmt_verb.add_flag("--check", fmt.check, "write nothing; exit 1 if a file is not canonical");
  fmt_verb.add_flag("--write", fmt.write, "rewrite the files where they are")->excludes(check_flag);

  CLI::App& syntax_verb = verb("syntax", "the language of tests on one page", "cowherd syntax | less");
  syntax_verb.add_option("-o,--output", syntax.output, "write to FILE")->type_name("FILE");

  CLI::App& gen_verb = verb("gen", "make tests, at random or all up to a size",
                            "cowherd gen --seed 7 --count 100 -o tests && cowherd check tests");
  CLI::Option* seed = gen_verb.add_option("--seed", gen.seed, "the first test's number: the same gives the same (1)");
  CLI::Option* count = gen_verb.add_option("--count", gen.count, "how many tests (1)")->check(CLI::PositiveNumber);
  CLI::Option* size = gen_verb.add_option("--max-ops", gen.max_operations, "operations to a test, at most (8)")
                          ->check(CLI::Range(3u, 32u).description(""));
  for (CLI::Option* option : {seed, count, size}) option->type_name("N");
  add_amount(
      gen_verb, "--enumerate", gen.enumerate,
      [](const std::string& word) -> std::optional<std::uint32_t> {
        if (word.size() != 1 || word[0] < '1' || word[0] > '9') return std::nullopt;
        return static_cast<std::uint32_t>(word[0] - '0');
      },
      "N", "every test of up to N operations (1 to 9) of a small alphabet, in place of random ones");
  gen_verb.add_option("-o,--output", gen.output, "a folder for one file to a test; else all to stdout")
      ->type_name("FOLDER");

  CLI::App& completion_verb = verb("completion", "completion for a shell",
                                   "cowherd completion bash > ~/.local/share/bash-completion/completions/cowherd");
  completion_verb.add_option("shell", completion.shell, "bash or zsh")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}))
      ->type_name("SHELL");
  completion_verb.group("");
}

void Parser::add_bench() {
  CLI::App& sub = verb("bench", "what the operations cost: Linux's, ours, and what memory allows, in one run",
                       "cowherd bench --quick --rows 1,5,8");
  sub.add_option("--rows", bench.rows, "rows of the table of goals, or words that they are about, divided by commas")
      ->allow_extra_args(false)
      ->type_name("ROW,...");
  sub.add_option("--rounds", bench.rounds, "so many rounds, the sides in turn (3)")
      ->check(CLI::Range(1u, 1000u).description(""))
      ->type_name("N");
  sub.add_flag("--quick", bench.quick, "less memory and fewer repetitions: about two minutes");
  add_amount(sub, "--size", bench.size, parse_size, "SIZE", "what each row maps (K, M, G)");
  sub.add_flag("--list", bench.list, "show the rows and their goals, and measure nothing");
  sub.add_flag("--json", bench.json, "write results as JSON, with every sample");
  sub.add_option("--html", bench.html, "write a page with plots, which takes some more measuring")->type_name("FILE");
  sub.add_option("-o,--output", bench.output, "write results to FILE, which appears complete or not at all")
      ->type_name("FILE");
  sub.add_flag("-q,--quiet", bench.quiet, "do not say which row is being measured");
}

void add_guest(CLI::App& app, GuestArguments& to) {
  CLI::Option* vm = app.add_option("--vm", to.vm, "do it under this kernel, a bzImage, in QEMU without KVM");
  CLI::Option* uml = app.add_option("--uml", to.uml, "do it under User Mode Linux, the program that this names");
  vm->type_name("KERNEL")->excludes(uml);
  uml->type_name("PROGRAM");
}

void Parser::add_live() {
  CLI::App& sub = verb("live", "run tests on this machine's kernel, with real processes and real pins",
                       "cowherd live --judge litmus/fork-pin");
  sub.add_option("files", live.files, "tests, folders, @index files, or - for standard input")->type_name("FILE");
  sub.add_flag("--judge", live.judge, "expect what the test's Rules: line says of a kernel of this version");
  sub.add_flag("--all", live.all, "every interleaving of a test's operations, however many");
  CLI::Option* limit = sub.add_option("--limit", live.limit, "up to N interleavings of a test (1000)");
  CLI::Option* random = sub.add_option("--random", live.random, "N interleavings at random, in place of each in turn");
  CLI::Option* seed = sub.add_option("--seed", live.seed, "which random ones: the same gives the same (1)");
  CLI::Option* free = sub.add_option("--free", live.free, "N runs with operations of several blocks at the same time");
  for (CLI::Option* option : {limit, random, seed, free}) option->check(CLI::PositiveNumber)->type_name("N");
  sub.add_option("--schedule", live.schedule, "one interleaving alone, as a finding names it: '0*2 1 0*3'")
      ->type_name("STRING");
  sub.add_option("--against", live.against,
                 "in place of tests: --random programs here and under this rule set; where do they differ?")
      ->type_name("SPEC")
      ->needs(random);
  sub.add_flag("--emit-c", live.emit_c,
               "run nothing: write the tests as one C program that needs nothing but a C library");
  add_choice(sub, "--pin-by", live.pin_by, kPinBy, "what takes hold of the pages that a test pins (closest)");
  sub.add_option_function<std::string>(
         "--patience",
         [this](const std::string& word) {
           const auto value = parse_duration(word);
           if (!value) throw CLI::ValidationError("--patience", fmt::format("'{}' is no TIME", word));
           live.patience = *value;
         },
         "how long an operation may take (10s)")
      ->type_name("TIME");
  add_amount(sub, "--timeout", live.timeout, parse_duration, "TIME", "end after TIME, and say what was found (10, 2m)");
  // CLI11's own excludes() lists options in the order of their addresses.
  sub.callback([this, random, free] {
    if (free->count() != 0 && (random->count() != 0 || live.all || !live.schedule.empty())) {
      throw CLI::ValidationError("--free", "not with --random, --all or --schedule");
    }
    const bool at_random = random->count() != 0;
    if (at_random && live.all) throw CLI::ValidationError("--random", "not with --all");
    if (!live.schedule.empty() && (at_random || live.all)) {
      throw CLI::ValidationError("--schedule", "not with --all or --random");
    }
  });
  add_guest(sub, live.guest);
  add_output(sub, live.output, kAllFormats);
}

void Parser::add_probe() {
  const auto add_results = [](CLI::App& sub, auto& to) {
    sub.add_flag("--json", to.json, "write results as JSON");
    add_guest(sub, to.guest);
    sub.add_option("-o,--output", to.output, "write results to FILE, which appears complete or not at all")
        ->type_name("FILE");
  };
  add_results(verb("probe", "what this machine offers to tests, and how to get the rest", "cowherd probe"), probe);
  add_results(
      verb("fingerprint", "which rules this machine's kernel follows, and whether fork is safe with pinned memory",
           "cowherd fingerprint --json"),
      fingerprint);
}

Parser::Parser() {
  app.name("cowherd");
  app.require_subcommand(1);
  app.add_flag_callback(
      "-V,--version", [] { throw CLI::CallForVersion(fmt::format("cowherd {}", kVersion), 0); }, "print the version");
  app.footer(
      "A file in place of a verb is checked. Exit status: 0 all as expected, 1 a verdict differs or a finding,\n"
      "2 wrong usage or input, 3 internal error, 4 skipped, 5 inconclusive, 124 time limit, 130 interrupted.\n"
      "Example:\n  cowherd check litmus/fork-pin");
  add_check();
  add_matrix();
  add_small_verbs();
  add_bench();
  add_live();
  add_probe();
}

bool is_long_option(const CLI::App& app, std::string_view name) {
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& known : option->get_lnames()) {
      if (known == name) return true;
    }
  }
  return false;
}

/// herd7 writes long options with one dash: `-timeout 10`.
std::vector<std::string> with_two_dashes(const CLI::App& app, std::vector<std::string> words) {
  for (std::string& word : words) {
    if (word == "--") break;
    if (word.size() < 3 || word[0] != '-' || word[1] == '-') continue;
    const std::string_view name = std::string_view(word).substr(1, word.find('=') - 1);
    if (is_long_option(app, name)) word.insert(0, "-");
  }
  return words;
}

bool looks_like_file(const std::string& word) {
  std::error_code ignored;
  return word == "-" || word.starts_with('@') || word.find_first_of("/.") != std::string::npos ||
         std::filesystem::exists(word, ignored);
}

const CLI::App* find_verb(const CLI::App& app, const std::string& name) {
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (sub->get_name() == name) return sub;
  }
  return nullptr;
}

Answer unknown_verb(const CLI::App& app, const std::string& word) {
  Nearest nearest(word);
  std::string verbs;
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (sub->get_group().empty()) continue;
    names.push_back(sub->get_name());
    verbs += (verbs.empty() ? "" : ", ") + sub->get_name();
  }
  for (const std::string& name : names) nearest.offer(name);
  const std::string hint = nearest.best().empty() ? "" : fmt::format("; did you mean '{}'?", nearest.best());
  return {fmt::format("cowherd: '{}' is no verb and no file{}\nVerbs: {}\n", word, hint, verbs), true, kUsage};
}

/// What CLI11 says of an option that it does not know, with the one that was probably meant.
std::string explain(const CLI::App& verb, const CLI::ParseError& error) {
  std::string text = error.what();
  const std::size_t at = text.find("--");
  if (dynamic_cast<const CLI::ExtrasError*>(&error) == nullptr || at == std::string::npos) return text;
  const std::string wrong = text.substr(at + 2, text.find_first_of(" =", at) - at - 2);
  Nearest nearest(wrong);
  for (const CLI::Option* option : verb.get_options()) {
    for (const std::string& name : option->get_lnames()) nearest.offer(name);
  }
  if (!nearest.best().empty()) text += fmt::format("; did you mean '--{}'?", nearest.best());
  return text;
}

bool files_missing(const Parser& parser, std::string_view verb) {
  return (verb == "check" && parser.check.files.empty() && !parser.check.replay) ||
         (verb == "matrix" && parser.matrix.files.empty()) || (verb == "fmt" && parser.fmt.files.empty()) ||
         (verb == "live" && parser.live.files.empty() && parser.live.against.empty());
}

}  // namespace

Arguments parse_arguments(const std::vector<std::string>& given) {
  const auto parser = std::make_unique<Parser>();
  std::vector<std::string> words = given;
  if (words.empty()) return Answer{parser->app.help(), true, kUsage};
  if (words[0] == "help") {
    words.erase(words.begin());
    if (words.empty()) return Answer{parser->app.help(), false, 0};
    words.resize(1);
    words.emplace_back("--help");
  }
  static const std::vector<std::string> kOwn = {"-h", "--help", "-help", "-V", "--version", "-version"};
  const bool own = std::find(kOwn.begin(), kOwn.end(), words[0]) != kOwn.end();
  if (!own && find_verb(parser->app, words[0]) == nullptr) {
    if (!words[0].starts_with('-') && !looks_like_file(words[0])) return unknown_verb(parser->app, words[0]);
    words.insert(words.begin(), "check");
  }
  const CLI::App& verb = own ? parser->app : *find_verb(parser->app, words[0]);
  words = with_two_dashes(verb, std::move(words));

  const std::string name = verb.get_name();
  const std::string advice = fmt::format("Try 'cowherd {}--help'.\n", own ? "" : name + " ");
  std::reverse(words.begin(), words.end());  // the order that CLI11 takes them in
  try {
    parser->app.parse(words);
  } catch (const CLI::CallForHelp&) {
    return Answer{parser->app.help(), false, 0};
  } catch (const CLI::CallForVersion& version) {
    return Answer{fmt::format("{}\n", version.what()), false, 0};
  } catch (const CLI::ParseError& error) {
    return Answer{fmt::format("cowherd: {}\n{}", explain(verb, error), advice), true, kUsage};
  }
  if (files_missing(*parser, name)) {
    return Answer{fmt::format("cowherd: {} needs a file, a folder or - for standard input\n{}", name, advice), true,
                  kUsage};
  }
  if (name == "check") return std::move(parser->check);
  if (name == "matrix") return std::move(parser->matrix);
  if (name == "rules") return std::move(parser->rules);
  if (name == "fmt") return std::move(parser->fmt);
  if (name == "syntax") return std::move(parser->syntax);
  if (name == "gen") return std::move(parser->gen);
  if (name == "bench") return std::move(parser->bench);
  if (name == "live") return std::move(parser->live);
  if (name == "probe") return std::move(parser->probe);
  if (name == "fingerprint") return std::move(parser->fingerprint);
  return std::move(parser->completion);
}

std::vector<VerbWords> all_words() {
  const Parser parser;
  std::vector<VerbWords> words;
  for (const CLI::App* sub : parser.app.get_subcommands([](const CLI::App*) { return true; })) {
    if (sub->get_group().empty()) continue;
    VerbWords& verb = words.emplace_back();
    verb.verb = sub->get_name();
    verb.description = sub->get_description();
    for (const CLI::Option* option : sub->get_options()) {
      for (const std::string& name : option->get_lnames()) verb.options.push_back("--" + name);
    }
  }
  return words;
}

}  // namespace cowherd::cli
