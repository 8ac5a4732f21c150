#include "litmus/syntax.hpp"

#include "cli/output.hpp"
#include "cli/verbs.hpp"

namespace cowherd::cli {

report::ExitStatus run_syntax(const SyntaxArguments& arguments) {
  return write_file(arguments.output, litmus::syntax_reference()) ? report::ExitStatus::kExpected
                                                                  : report::ExitStatus::kInput;
}

}  // namespace cowherd::cli
