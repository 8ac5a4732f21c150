#include "live/child.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

namespace cowherd::live {

Child::Child(const std::vector<std::string>& command) {
  int line[2];
  if (::pipe2(line, O_CLOEXEC) != 0) return;
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  process_ = ::fork();
  if (process_ == 0) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    const int nothing = ::open("/dev/null", O_RDWR);
    ::dup2(nothing, 0);
    ::dup2(line[1], 1);
    ::dup2(nothing, 2);
    ::execvp(words[0], words.data());
    ::_exit(127);
  }
  ::close(line[1]);
  out_ = line[0];
}

Child::~Child() {
  end();
  if (out_ >= 0) ::close(out_);
}

int Child::end() {
  if (process_ > 0) ::kill(-process_, SIGKILL);
  return wait();
}

int Child::wait() {
  if (process_ <= 0) return -1;
  int status = 0;
  while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  process_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string Child::words() {
  std::string text;
  std::array<char, 65536> part{};
  while (out_ >= 0) {
    const ssize_t got = ::read(out_, part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(part.data(), static_cast<std::size_t>(got));
  }
  return wait() == 0 ? text : std::string();
}

}  // namespace cowherd::live
