#include "live/guest_init.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "live/guest_words.hpp"

namespace cowherd::live {
namespace {

constexpr const char* kOut = "/cowherd-out";
constexpr const char* kErr = "/cowherd-err";

void say(std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(STDOUT_FILENO, text.data(), text.size());
    if (wrote <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(wrote));
  }
}

std::string text_of(const char* path) {
  std::string text;
  std::array<char, 4096> part{};
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  while (file >= 0) {
    const ssize_t got = ::read(file, part.data(), part.size());
    if (got <= 0) break;
    text.append(part.data(), static_cast<std::size_t>(got));
  }
  if (file >= 0) ::close(file);
  return text;
}

std::vector<std::string> words_told() {
  const std::string told = text_of(kGuestWords);
  std::vector<std::string> words;
  for (std::size_t at = 0; at < told.size(); at += words.back().size() + 1) words.emplace_back(told.c_str() + at);
  return words;
}

/// As it is written: a terminal puts a carriage return before each newline.
void make_console_plain() {
  termios settings{};
  if (::tcgetattr(STDOUT_FILENO, &settings) != 0) return;
  ::cfmakeraw(&settings);
  ::tcsetattr(STDOUT_FILENO, TCSANOW, &settings);
}

/// A module that does not load is found missing by whoever looks for what it does.
void load_modules() {
  std::error_code ignored;
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(kGuestModules, ignored)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    const std::string bytes = text_of(path.c_str());
    ::syscall(SYS_init_module, bytes.data(), bytes.size(), "");
  }
}

int redirected(const char* path, int descriptor) {
  const int file = ::open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  return file < 0 ? -1 : ::dup2(file, descriptor);
}

}  // namespace

bool is_guest_init() { return ::getpid() == 1 && ::access(kGuestWords, R_OK) == 0; }

void be_guest_init(int (*command)(const std::vector<std::string>&)) {
  ::mount("none", "/proc", "proc", 0, nullptr);
  ::mount("none", "/sys", "sysfs", 0, nullptr);
  ::mount("none", "/dev", "devtmpfs", 0, nullptr);
  ::mount("none", "/sys/kernel/debug", "debugfs", 0, nullptr);
  load_modules();
  make_console_plain();
  std::vector<std::string> words = words_told();
  const bool placed = !words.empty() && ::chdir(words.front().c_str()) == 0;
  if (!words.empty()) words.erase(words.begin());
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv("HOME", "/tmp", 1);
    const bool ready = placed && redirected(kOut, STDOUT_FILENO) >= 0 && redirected(kErr, STDERR_FILENO) >= 0;
    std::exit(ready ? command(words) : 3);
  }
  int status = 0;
  // Orphans of the run come here too.
  for (pid_t ended = 0; ended != child && child > 0;) ended = ::waitpid(-1, &status, 0);
  say(kGuestOut);
  say(text_of(kOut));
  say(kGuestErr);
  say(text_of(kErr));
  say(kGuestEnd);
  say(std::to_string(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)));
  say(kGuestLast);
  ::tcdrain(STDOUT_FILENO);
  ::sync();
  ::reboot(RB_POWER_OFF);
  ::reboot(RB_AUTOBOOT);
  ::_exit(0);
}

}  // namespace cowherd::live
