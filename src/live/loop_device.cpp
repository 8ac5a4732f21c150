#include "live/loop_device.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

#include "live/host.hpp"

namespace cowherd::live {
namespace {

constexpr int kTries = 8;

}  // namespace

LoopDevice attach_loop_device(int backing, unsigned block_bytes, int open_flags, unsigned loop_flags) {
  LoopDevice device;
  const int control = ::open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  if (control < 0) {
    device.trouble = fmt::format("/dev/loop-control: {}", in_words(errno));
    return device;
  }
  loop_config config{};
  config.fd = static_cast<__u32>(backing);
  config.block_size = block_bytes;
  config.info.lo_flags = loop_flags | LO_FLAGS_AUTOCLEAR;
  device.trouble = "no free loop device";
  // Another program may be faster than us.
  for (int tried = 0; tried < kTries && device.descriptor < 0; ++tried) {
    device.number = ::ioctl(control, LOOP_CTL_GET_FREE);
    if (device.number < 0) break;
    device.descriptor = ::open(fmt::format("/dev/loop{}", device.number).c_str(), open_flags);
    if (device.descriptor >= 0 && ::ioctl(device.descriptor, LOOP_CONFIGURE, &config) == 0) {
      device.trouble.clear();
      break;
    }
    device.trouble = fmt::format("no free loop device: {}", in_words(errno));
    if (device.descriptor >= 0) ::close(device.descriptor);
    device.descriptor = -1;
  }
  ::close(control);
  return device;
}

}  // namespace cowherd::live
