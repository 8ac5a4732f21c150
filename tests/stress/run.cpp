#include "stress/run.hpp"

#include <barrier>
#include <memory>
#include <thread>
#include <vector>

#include "stress/failure_text.hpp"
#include "stress/jitter.hpp"
#include "stress/litmus_text.hpp"
#include "stress/worker.hpp"

namespace cowherd::stress {

namespace {

std::string names_of(mm::Violations found) {
  std::string names;
  for (std::size_t i = 0; i < mm::kViolations.size(); ++i) {
    if (found.has(static_cast<mm::Violation>(i)))
      names += (names.empty() ? "" : ", ") + std::string(mm::kViolations[i].name);
  }
  return names;
}

/// A run: the threads' side is loop(), everything else happens between rounds.
class Run {
 public:
  Run(const Plan& plan, const std::string& rules_name)
      : plan_(plan),
        rules_name_(rules_name),
        house_(plan),
        oracle_(plan.pages == Pages::kHugetlb && plan.rules.hugetlb_force == HugetlbForce::kRefuse),
        gate_(plan.threads + 1) {
    for (unsigned i = 0; i < plan.threads; ++i) workers_.push_back(std::make_unique<Worker>(house_, i));
    for (unsigned slot = 0; slot < House::kRoots; ++slot) {
      const Life life = house_.next_life();
      oracle_.begin_life(life);
      const ProcessId process = *mm::spawn(house_.system());
      Record map;
      map.life = life;
      map.action = Action::kMap;
      map.count = kPages;
      map.when.begin = house_.tick();
      map.error = house_.map(process, 0, kPages);
      map.when.end = house_.tick();
      beginning_.push_back(map);
      house_.open(slot, life, process);
    }
  }

  Outcome run(std::chrono::milliseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    std::vector<std::thread> threads;
    threads.reserve(workers_.size());
    for (unsigned i = 0; i < workers_.size(); ++i) threads.emplace_back([this, i] { loop(*workers_[i], i); });
    do {
      gate_.arrive_and_wait();
      gate_.arrive_and_wait();
      look();
    } while (outcome_.trouble.empty() && std::chrono::steady_clock::now() < end);
    over_ = true;
    gate_.arrive_and_wait();
    for (std::thread& thread : threads) thread.join();
    if (outcome_.trouble.empty()) finish();
    return outcome_;
  }

 private:
  void loop(Worker& worker, unsigned number) {
    const Jitter jitter(number);
    while (true) {
      gate_.arrive_and_wait();
      if (over_) return;
      worker.run_round();
      gate_.arrive_and_wait();
    }
  }

  void look() {
    ++outcome_.rounds;
    std::vector<Log> round;
    house_.forget_pins();
    for (auto& worker : workers_) {
      round.push_back(worker->log());
      outcome_.operations += worker->log().size();
      worker->clear_log();
      worker->tell_pins();
    }
    round.push_back(std::exchange(beginning_, {}));
    auto finding = oracle_.judge(round);
    if (!finding) finding = oracle_.settle(house_.facts(), house_.tick());
    const std::string broken = names_of(mm::verify(house_.system()));
    if (finding) {
      std::string name = "stress-" + std::to_string(plan_.seed);
      outcome_.trouble = finding->reason + "\n" + line_of(finding->culprit, round.size()) +
                         (broken.empty() ? "" : "and verify() finds: " + broken + "\n") +
                         "what the threads did last on that page:\n" + last_operations(*finding, round);
      outcome_.litmus = litmus_text(*finding, oracle_.birth_of(finding->culprit.life), round, name, rules_name_);
    } else if (!broken.empty()) {
      // No page is known: the last of everything.
      outcome_.trouble = "verify() finds: " + broken + "\nwhat the threads did last:\n";
      for (std::size_t thread = 0; thread < round.size(); ++thread) {
        const Log& log = round[thread];
        for (std::size_t i = log.size() > 12 ? log.size() - 12 : 0; i < log.size(); ++i) {
          outcome_.trouble += line_of(log[i], thread);
        }
      }
    }
  }

  /// Everybody goes; nothing may be left.
  void finish() {
    for (auto& worker : workers_) worker->finish();
    for (unsigned slot = 0; slot < House::kRoots; ++slot) (void)mm::exit(house_.system(), house_.close(slot));
    const std::string broken = names_of(mm::verify(house_.system()));
    if (!broken.empty()) outcome_.trouble = "verify() finds at the end: " + broken + "\n";
    const PageCount left = house_.system().frames().frame_count() - house_.system().frames().free_count();
    const PageCount stay = house_.system().zero_pages() + house_.system().pool_frames();
    if (left != stay) outcome_.trouble += std::to_string((left - stay).value()) + " frames were lost\n";
  }

  Plan plan_;
  std::string rules_name_;
  House house_;
  Oracle oracle_;
  Log beginning_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::barrier<> gate_;
  /// Written between rounds, while every thread waits at the gate.
  bool over_ = false;
  Outcome outcome_;
};

}  // namespace

Outcome run(const Plan& plan, std::chrono::milliseconds time, const std::string& rules_name) {
  return Run(plan, rules_name).run(time);
}

}  // namespace cowherd::stress
