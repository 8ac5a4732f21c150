#include "live/poison.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "live/host.hpp"

namespace cowherd::live {
namespace {

constexpr const char* kFail = "/sys/kernel/debug/hwpoison/corrupt-pfn";
constexpr const char* kHeal = "/sys/kernel/debug/hwpoison/unpoison-pfn";

int tell(const char* path, std::uint64_t frame) {
  const int file = ::open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return errno;
  const std::string text = std::to_string(frame);
  const int error = ::write(file, text.data(), text.size()) < 0 ? errno : 0;
  ::close(file);
  return error;
}

}  // namespace

std::string try_poison() {
  for (const char* const path : {kFail, kHeal}) {
    if (::access(path, W_OK) != 0) return std::string(path) + ": " + in_words(errno);
  }
  return {};
}

Errno poison_frame(std::uint64_t frame) { return tell(kFail, frame) == 0 ? Errno{0} : Errno::kBusy; }

void heal_frame(std::uint64_t frame) { tell(kHeal, frame); }

}  // namespace cowherd::live
