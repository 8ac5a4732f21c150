#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "check/result.hpp"
#include "litmus/program.hpp"

namespace cowherd::check {

/// Explores every interleaving of `program` under the rules of `options`, judges every step by the reference semantics
/// and the machine's own invariants, and explains what it finds. The same input gives the same result, byte for byte,
/// apart from times. Precondition: the program is resolved. Thread-safe: calls share nothing.
CheckResult check(const litmus::Program& program, const CheckOptions& options);

/// One check of a batch. The program outlives the batch.
struct Job {
  const litmus::Program* program = nullptr;
  CheckOptions options;
};

/// Checks all jobs on `threads` threads (0: one to a processor). `done` is called from one thread at a time, in the
/// order of the jobs, each as soon as all before it are there. Jobs that `interrupted` kept from starting yield a
/// result whose coverage says so.
void run_all(std::span<const Job> jobs, unsigned threads, const std::function<void(std::size_t, CheckResult&&)>& done);

}  // namespace cowherd::check
