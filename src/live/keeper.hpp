#pragma once

#include <sys/types.h>

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace cowherd::live {

/// Puts back what a run changes on the machine, the last change first: at its end or, should this program be killed, as
/// soon as it and the processes that it started are gone. A process of its own does that, which is told of each change
/// before it is made. Not thread-safe.
class Keeper {
 public:
  Keeper() = default;
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;
  ~Keeper() { restore(); }

  /// Until the end no other keeper gets the same file. Waits a while for one that has it, the first time. Empty, or why
  /// it cannot be had.
  std::string lock(const char* path);
  /// Writes `text` to a file of /proc or /sys; what it says now comes back. Empty, or why it cannot be done.
  std::string set(const std::string& path, std::string_view text);
  /// What the file says now comes back, whatever is written to it meanwhile. Empty, or why it cannot be had.
  std::string hold(const std::string& path);
  /// As set(), of a file that shows all choices, the one that holds in brackets: "always [madvise] never".
  std::string set_choice(const std::string& path, std::string_view text);
  /// At the end `text` is written to the file. False: nobody will do so.
  [[nodiscard]] bool later_write(const std::string& path, std::string_view text);
  [[nodiscard]] bool later_swapoff(const std::string& device);
  [[nodiscard]] bool later_remove(const std::string& path);
  [[nodiscard]] bool later_remove_rdma(const std::string& device);
  /// The network device is taken down.
  [[nodiscard]] bool later_down(const std::string& network_device);
  /// All of it, now. Ends when it is done.
  void restore();
  /// In a process that has just been forked: it keeps nothing, and nobody waits for its end.
  void leave_to_parent();

 private:
  bool start();
  bool tell(char what, std::string_view path, std::string_view text);

  pid_t process_ = -1;
  int line_ = -1;
  std::vector<int> locks_;
  /// Files that another keeper had for as long as one waits.
  std::set<std::string, std::less<>> waited_for_;
};

}  // namespace cowherd::live
