#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace cowherd::live {

/// A program in a process group of its own, its standard output at hand; it says and hears nothing else, and ends with
/// this object. Not thread-safe.
class Child {
 public:
  explicit Child(const std::vector<std::string>& command);
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();

  [[nodiscard]] bool started() const { return process_ > 0; }
  [[nodiscard]] int out() const { return out_; }
  /// Ends it, if it still runs. Its exit status, or -1.
  int end();
  /// All that it says until it ends by itself; nothing where its exit status is not 0.
  std::string words();

 private:
  int wait();

  pid_t process_ = -1;
  int out_ = -1;
};

}  // namespace cowherd::live
