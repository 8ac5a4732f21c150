#include "measure/child.hpp"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

namespace cowherd::measure {
namespace {

constexpr unsigned kLongestSeconds = 300;

struct Head {
  Figure::State state;
  double value;
};

void write_all(int to, const void* bytes, std::size_t size) {
  const char* at = static_cast<const char*>(bytes);
  while (size != 0) {
    const ssize_t written = ::write(to, at, size);
    if (written <= 0) return;
    at += written;
    size -= static_cast<std::size_t>(written);
  }
}

std::string read_all(int from) {
  std::string text;
  std::array<char, 512> part{};
  while (true) {
    const ssize_t got = ::read(from, part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(part.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace

Figure in_child(const std::function<Figure()>& measure) {
  int ends[2];
  if (::pipe(ends) != 0) return Figure::unavailable("no pipe to a child process");
  const pid_t child = ::fork();
  if (child < 0) {
    ::close(ends[0]);
    ::close(ends[1]);
    return Figure::unavailable("no child process");
  }
  if (child == 0) {
    ::close(ends[0]);
    ::alarm(kLongestSeconds);
    const Figure figure = measure();
    const Head head{figure.state(), figure.ok() ? figure.value() : 0};
    write_all(ends[1], &head, sizeof head);
    write_all(ends[1], figure.text().data(), figure.text().size());
    ::_exit(0);
  }
  ::close(ends[1]);
  const std::string answer = read_all(ends[0]);
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  Head head{};
  if (status != 0 || answer.size() < sizeof head) {
    return Figure::wrong(WIFSIGNALED(status)
                             ? fmt::format("the child process was ended by signal {}", WTERMSIG(status))
                             : fmt::format("the child process ended with status {}", WEXITSTATUS(status)));
  }
  std::memcpy(&head, answer.data(), sizeof head);
  const std::string text = answer.substr(sizeof head);
  switch (head.state) {
    case Figure::State::kMeasured:
      return Figure::measured(head.value);
    case Figure::State::kUnavailable:
      return Figure::unavailable(text);
    case Figure::State::kWrong:
      break;
  }
  return Figure::wrong(text);
}

}  // namespace cowherd::measure
