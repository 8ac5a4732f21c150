#pragma once

#include <functional>
#include <mutex>

#include "check/result.hpp"

namespace cowherd::cli {

/// One line on stderr that is rewritten while a search goes on; nothing where stderr is no terminal. Thread-safe.
class ProgressLine {
 public:
  ProgressLine();

  /// What CheckOptions::progress is to be; empty where nothing would be shown. This object must outlive the search.
  std::function<void(const check::Progress&)> callback();
  /// Takes the line off the screen, so that a result can be written.
  void clear();

 private:
  void show(const check::Progress& progress);

  std::mutex mutex_;
  bool terminal_;
  bool shown_ = false;
};

}  // namespace cowherd::cli
