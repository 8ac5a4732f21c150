#include "cowherd/result.hpp"

namespace cowherd {

const char* name_of(Errno error) {
  switch (error) {
    case Errno::kPerm:
      return "EPERM";
    case Errno::kNoEntry:
      return "ENOENT";
    case Errno::kNoProcess:
      return "ESRCH";
    case Errno::kNoDevice:
      return "ENXIO";
    case Errno::kNoChild:
      return "ECHILD";
    case Errno::kAgain:
      return "EAGAIN";
    case Errno::kNoMemory:
      return "ENOMEM";
    case Errno::kAccess:
      return "EACCES";
    case Errno::kFault:
      return "EFAULT";
    case Errno::kBusy:
      return "EBUSY";
    case Errno::kExist:
      return "EEXIST";
    case Errno::kInvalid:
      return "EINVAL";
    case Errno::kHwPoison:
      return "EHWPOISON";
    case Errno::kSigSegv:
      return "SIGSEGV";
    case Errno::kSigBus:
      return "SIGBUS";
    case Errno::kWouldBlock:
      return "EWOULDBLOCK";
  }
  return "E?";
}

}  // namespace cowherd
