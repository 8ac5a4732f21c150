#include "check/livelock.hpp"

#include <algorithm>
#include <limits>

namespace cowherd::check {

namespace {

constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

/// The steps by the state that they leave.
class Graph {
 public:
  Graph(std::span<const Circling> steps, std::uint32_t states) : steps_(steps), first_(states + 1, 0) {
    for (const Circling& step : steps) ++first_[step.from + 1];
    for (std::uint32_t state = 0; state < states; ++state) first_[state + 1] += first_[state];
    order_.resize(steps.size());
    std::vector<std::uint32_t> next(first_.begin(), first_.end() - 1);
    for (std::uint32_t i = 0; i < steps.size(); ++i) order_[next[steps[i].from]++] = i;
  }

  [[nodiscard]] std::uint32_t states() const { return static_cast<std::uint32_t>(first_.size() - 1); }
  [[nodiscard]] std::uint32_t degree(std::uint32_t state) const { return first_[state + 1] - first_[state]; }
  [[nodiscard]] const Circling& step(std::uint32_t state, std::uint32_t i) const {
    return steps_[order_[first_[state] + i]];
  }

 private:
  std::span<const Circling> steps_;
  std::vector<std::uint32_t> first_;
  std::vector<std::uint32_t> order_;
};

/// Tarjan's algorithm without recursion: gives every state the number of its strongly connected component.
class Components {
 public:
  explicit Components(const Graph& graph)
      : graph_(graph), component_(graph.states(), kNone), index_(graph.states(), kNone), low_(graph.states(), 0) {
    for (std::uint32_t state = 0; state < graph.states(); ++state) {
      if (index_[state] == kNone && graph.degree(state) != 0) visit(state);
    }
  }

  [[nodiscard]] std::uint32_t of(std::uint32_t state) const { return component_[state]; }
  [[nodiscard]] std::uint32_t count() const { return count_; }

 private:
  struct Frame {
    std::uint32_t state;
    std::uint32_t next;
  };

  void enter(std::uint32_t state) {
    index_[state] = low_[state] = next_index_++;
    open_.push_back(state);
    path_.push_back({state, 0});
  }

  void visit(std::uint32_t root) {
    enter(root);
    while (!path_.empty()) {
      Frame& frame = path_.back();
      const std::uint32_t state = frame.state;
      if (frame.next < graph_.degree(state)) {
        const std::uint32_t to = graph_.step(state, frame.next++).to;
        if (index_[to] == kNone) {
          enter(to);
        } else if (component_[to] == kNone) {
          low_[state] = std::min(low_[state], index_[to]);
        }
        continue;
      }
      path_.pop_back();
      if (!path_.empty()) low_[path_.back().state] = std::min(low_[path_.back().state], low_[state]);
      if (low_[state] == index_[state]) close(state);
    }
  }

  void close(std::uint32_t root) {
    for (std::uint32_t state = kNone; state != root; open_.pop_back()) {
      state = open_.back();
      component_[state] = count_;
    }
    ++count_;
  }

  const Graph& graph_;
  std::vector<std::uint32_t> component_;
  std::vector<std::uint32_t> index_;
  std::vector<std::uint32_t> low_;
  std::vector<std::uint32_t> open_;
  std::vector<Frame> path_;
  std::uint32_t next_index_ = 0;
  std::uint32_t count_ = 0;
};

/// The shortest way from `start` back to it within its component.
std::vector<Move> round_from(const Graph& graph, const Components& components, std::uint32_t start) {
  struct Reached {
    std::uint32_t state;
    std::uint32_t before;
    Move move;
  };
  std::vector<Reached> reached = {{start, kNone, 0}};
  std::vector<bool> seen(graph.states(), false);
  for (std::uint32_t at = 0; at < reached.size(); ++at) {
    const std::uint32_t state = reached[at].state;
    for (std::uint32_t i = 0; i < graph.degree(state); ++i) {
      const Circling& step = graph.step(state, i);
      if (components.of(step.to) != components.of(start)) continue;
      if (step.to == start) {
        std::vector<Move> round = {step.move};
        for (std::uint32_t back = at; reached[back].before != kNone; back = reached[back].before) {
          round.push_back(reached[back].move);
        }
        std::reverse(round.begin(), round.end());
        return round;
      }
      if (seen[step.to]) continue;
      seen[step.to] = true;
      reached.push_back({step.to, at, step.move});
    }
  }
  return {};
}

}  // namespace

std::optional<Livelock> find_livelock(std::span<const Circling> steps, std::uint32_t states,
                                      const std::function<BlockSet(std::uint32_t)>& runnable) {
  const Graph graph(steps, states);
  const Components components(graph);
  struct Facts {
    /// Who takes a step that stays inside.
    BlockSet acts = 0;
    /// Who can go on everywhere.
    BlockSet always = 0xff;
    std::uint32_t lowest = kNone;
  };
  std::vector<Facts> facts(components.count());
  for (std::uint32_t state = 0; state < states; ++state) {
    if (components.of(state) == kNone) continue;
    Facts& fact = facts[components.of(state)];
    fact.always = static_cast<BlockSet>(fact.always & runnable(state));
    fact.lowest = std::min(fact.lowest, state);
    for (std::uint32_t i = 0; i < graph.degree(state); ++i) {
      const Circling& step = graph.step(state, i);
      if (components.of(step.to) != components.of(state)) continue;
      fact.acts = static_cast<BlockSet>(fact.acts | bit_of(block_of(step.move)));
    }
  }
  std::uint32_t lowest = kNone;
  for (const Facts& fact : facts) {
    if (fact.acts != 0 && (fact.always & ~fact.acts) == 0) lowest = std::min(lowest, fact.lowest);
  }
  if (lowest == kNone) return std::nullopt;
  return Livelock{lowest, round_from(graph, components, lowest)};
}

}  // namespace cowherd::check
