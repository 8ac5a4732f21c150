#pragma once

#include "cli/arguments.hpp"
#include "report/exit_status.hpp"

namespace cowherd::cli {

// One function to a verb, each in a file of its own. They write results where their arguments say and everything else
// on stderr, and throw nothing.

report::ExitStatus run_check(const CheckArguments& arguments);
report::ExitStatus run_matrix(const MatrixArguments& arguments);
report::ExitStatus run_rules(const RulesArguments& arguments);
report::ExitStatus run_fmt(const FmtArguments& arguments);
report::ExitStatus run_syntax(const SyntaxArguments& arguments);
report::ExitStatus run_gen(const GenArguments& arguments);
report::ExitStatus run_bench(const BenchArguments& arguments);
report::ExitStatus run_live_verb(const LiveArguments& arguments);
report::ExitStatus run_probe(const ProbeArguments& arguments);
report::ExitStatus run_fingerprint(const FingerprintArguments& arguments);
report::ExitStatus run_completion(const CompletionArguments& arguments);

/// `check --replay`.
report::ExitStatus run_replay(const CheckArguments& arguments);

}  // namespace cowherd::cli
