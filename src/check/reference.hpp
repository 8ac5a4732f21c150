#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <vector>

#include "check/call.hpp"
#include "check/configuration.hpp"
#include "spec/promise.hpp"

namespace cowherd::check {

/// The judge of operations that overlap: a set of pasts, each of which explains all that was seen so far.
///
/// A load or a store of a thread or a device takes effect when it ends, since the access is the last that it does. All
/// else may take effect at any moment between its begin and its end, operations on several pages page by page. Which
/// moment it was shows only when an operation that could tell ends: then the parts that it may have met early are
/// tried, and the pasts that do not explain what was seen are dropped. What nobody can tell apart yet stays one past.
///
/// Part of the searched state: equal sets give equal bytes. Not thread-safe.
class Reference {
 public:
  /// More pasts than this at once are given up: see overflowed().
  static constexpr std::size_t kMaxPasts = 512;

  Reference() { clear(); }

  /// No process, nothing under way.
  void clear();
  /// The state; its size varies. Valid until the next call.
  [[nodiscard]] std::span<const std::byte> bytes() const;
  /// Precondition: `bytes` came from bytes(), of this or another Reference.
  void assign(std::span<const std::byte> bytes);

  /// A file comes to be. Precondition: as for spawn().
  /// With `value` in the first word of each of its pages.
  void create_file(std::uint8_t file, std::uint8_t pages, spec::FileStore store, std::int64_t value);
  /// Before anything comes to be: userfaultfd's handler will decide about memory, where there may be huge pages too.
  void track_handlers(bool huge);
  /// Whether the operation of `agent`, which is under way or would be `call`, may have to wait for the handler now.
  [[nodiscard]] bool may_wait(std::uint8_t agent, const Call& call) const;
  /// A process with an empty address space comes to be. Precondition: nothing is under way, and it has none.
  void spawn(std::uint8_t process);
  /// The operation of `agent` begins. Precondition: none of `agent` is under way.
  void begin(std::uint8_t agent, const Call& call);
  /// It ends. Precondition: it has begun. After a breach all goes on as it should have been.
  spec::Judgement complete(std::uint8_t agent, const spec::Observation& seen);
  /// begin() and complete() in one.
  spec::Judgement run(std::uint8_t agent, const Call& call, const spec::Observation& seen);
  /// It ends without having come to where memory is concerned. Precondition: it has begun.
  void abandon(std::uint8_t agent);
  [[nodiscard]] bool under_way(std::uint8_t agent) const;

  /// What the disk holds in the end, in every past: the judgement of the first one where it is wrong in all.
  [[nodiscard]] spec::Judgement judge_disk(std::uint8_t file, std::uint8_t page, std::uint8_t word,
                                           std::int64_t seen) const;
  /// Pages that the file has. Where pasts differ, by the first.
  [[nodiscard]] std::uint8_t file_size(std::uint8_t file) const;
  /// Pages that the device holds by its pin; 0 without one. Where pasts differ, by the first.
  [[nodiscard]] std::uint8_t pages_held(std::uint8_t device) const;
  /// Whether the owner of the pin's page `page` has not discarded it. Precondition: page < pages_held(device).
  [[nodiscard]] bool attached(std::uint8_t device, std::uint8_t page) const;
  [[nodiscard]] std::size_t pasts() const;
  /// Since clear(), there were more pasts than kMaxPasts and some were lost: judgements from then on may be wrong.
  [[nodiscard]] bool overflowed() const { return overflowed_; }

 private:
  using Bytes = std::vector<std::byte>;
  /// One end of an operation, over all pasts.
  struct Outcome {
    std::set<Bytes> right;
    std::set<Bytes> wrong;
    spec::Judgement judgement;
  };

  static constexpr spec::SpaceId kNoSpace{0xff};

  /// Reads what assign() was given.
  void parse() const;
  void load(const Bytes& past);
  [[nodiscard]] Bytes packed() const;
  [[nodiscard]] spec::SpaceId free_space() const;
  [[nodiscard]] bool shared(std::uint8_t process) const;
  void pack_calls(spec::Packer& out) const;
  void unpack_calls(spec::Unpacker& in) const;

  /// Ends the operation in `past` and in every past that its end could tell from it.
  void end_in(const Bytes& past, std::uint8_t agent, const spec::Observation& seen, Outcome& outcome);
  /// Of the loaded past, the parts of operations under way that the end of the operation of `agent` may have met.
  void find_relevant(std::uint8_t agent, std::vector<Effect>& relevant);
  void end_at(const Bytes& past, bool early, std::uint8_t agent, const spec::Observation& seen,
              std::uint32_t stale_keepers, Outcome& outcome);
  /// Of the loaded past, who keeps a discarded page where the operation of `agent` accesses one, as a set of bits.
  [[nodiscard]] std::uint32_t stale_keepers(std::uint8_t agent) const;
  void keep(std::uint8_t agent, Outcome& outcome);
  void keep_torn(const std::vector<Configuration::Torn>& torn, std::size_t from, spec::SpaceId child, Outcome& outcome);
  void add(std::set<Bytes>& to);
  void conclude(std::uint8_t agent, const spec::Observation& seen);
  /// The exec or exit of `agent` leaves the process's address space: debuggers under way may have got hold of it.
  void note_left(std::uint8_t agent);
  /// There is no room for what debuggers may have got hold of: they have not, and overflowed() says so.
  void forget_left();

  // Read from packed_ when they are first needed: most states are put back without an operation's end.
  mutable std::array<spec::SpaceId, litmus::kMaxBlocks> space_of_;
  mutable InFlight in_flight_;
  /// Sorted, at least one, without repetition. Where `loaded_` says so, the only one is in past_ instead.
  mutable std::vector<Bytes> pasts_;
  mutable Configuration past_;
  mutable bool parsed_ = true;
  mutable bool loaded_ = false;
  mutable Bytes packed_;
  mutable std::size_t packed_size_ = 0;
  mutable bool packed_is_current_ = false;
  bool overflowed_ = false;
};

}  // namespace cowherd::check
