#include "live/keeper.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

namespace cowherd::live {
namespace {

/// A file with one line, which is gone with this object.
class OneLine {
 public:
  explicit OneLine(const std::string& text) {
    const int file = ::mkstemp(path_.data());
    if (file >= 0) ::close(file);
    std::ofstream(path_) << text << '\n';
  }
  OneLine(const OneLine&) = delete;
  OneLine& operator=(const OneLine&) = delete;
  ~OneLine() { ::unlink(path_.c_str()); }

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string text() const {
    std::string line;
    std::ifstream file(path_);
    std::getline(file, line);
    return line;
  }

 private:
  std::string path_ = (std::filesystem::temp_directory_path() / "cowherd-keeper-XXXXXX").string();
};

TEST(Keeper, TheLastChangeIsTakenBackFirst) {
  const OneLine file("one");
  {
    Keeper keeper;
    EXPECT_EQ(keeper.set(file.path(), "two"), "");
    EXPECT_EQ(keeper.set(file.path(), "six"), "");
    EXPECT_EQ(file.text(), "six");
  }
  EXPECT_EQ(file.text(), "one");
}

TEST(Keeper, WhatCannotBeChangedIsSaid) {
  Keeper keeper;
  EXPECT_EQ(keeper.set("/nosuch/file", "1"), "/nosuch/file cannot be read");
}

TEST(Keeper, WhoIsKilledHasItPutBack) {
  const OneLine file("one");
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t controller = ::fork();
  if (controller == 0) {
    Keeper keeper;
    const std::string problem = keeper.set(file.path(), "two");
    char done = problem.empty() ? 'y' : 'n';
    (void)!::write(ready[1], &done, 1);
    while (true) ::pause();
  }
  char done = 0;
  ASSERT_EQ(::read(ready[0], &done, 1), 1);
  EXPECT_EQ(done, 'y');
  EXPECT_EQ(file.text(), "two");
  ::kill(controller, SIGKILL);
  ::waitpid(controller, nullptr, 0);
  for (int tries = 0; tries < 200 && file.text() != "one"; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(file.text(), "one");
  for (const int end : ready) ::close(end);
}

}  // namespace
}  // namespace cowherd::live
