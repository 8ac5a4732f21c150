#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "live/channel.hpp"
#include "live/soft_roce.hpp"

struct rxe_queue_buf;

namespace cowherd::live {

/// Registers memory of this process with the device behind `verbs`, a file that any process may have opened, in the
/// protection domain `domain`: what ibv_reg_mr() asks for. `writes`: the device may write it. 0 or an errno. Compare
/// Linux drivers/infiniband/core/uverbs_cmd.c: ib_uverbs_reg_mr().
int rdma_register(int verbs, std::uint32_t domain, std::uint64_t address, std::uint64_t length, bool writes,
                  Registration& registration);

/// A reliable connection of a soft-RoCE device to itself. It reads and writes what others have registered with it, as a
/// peer in the network would: RDMA READ and RDMA WRITE, which the kernel does by the pages that it holds and no page
/// table. Spoken is the kernel's own interface, without libibverbs. Not thread-safe.
class RdmaQueue {
 public:
  RdmaQueue() = default;
  RdmaQueue(const RdmaQueue&) = delete;
  RdmaQueue& operator=(const RdmaQueue&) = delete;
  ~RdmaQueue();

  /// Empty, or why not.
  std::string open(const SoftRoceDevice& device);
  /// What processes register with. It is open in their children and after exec().
  [[nodiscard]] int verbs() const { return verbs_; }
  [[nodiscard]] std::uint32_t domain() const { return domain_; }

  /// The word at `address` of what is registered, by the address that it has in the process that registered it.
  Reply read(const Registration& registration, std::uint64_t address);
  Reply write(const Registration& registration, std::uint64_t address, std::int64_t value);
  /// 0 or an errno. Whose memory it was may be gone.
  [[nodiscard]] int deregister(const Registration& registration) const;

 private:
  /// A ring that the kernel and this program share.
  struct Ring {
    rxe_queue_buf* at = nullptr;
    std::size_t bytes = 0;
  };

  std::string make_objects();
  std::string connect(const SoftRoceDevice& device);
  [[nodiscard]] int map(Ring& ring, std::uint64_t offset, std::uint32_t bytes) const;
  [[nodiscard]] int change_state(const SoftRoceDevice& device, std::uint8_t state) const;
  /// One word between the far side's memory and ours.
  int transfer(std::uint32_t opcode, const Registration& registration, std::uint64_t address);
  int await_completion();

  int verbs_ = -1;
  std::uint32_t domain_ = 0;
  std::uint32_t completions_handle_ = 0;
  std::uint32_t queue_handle_ = 0;
  std::uint32_t queue_number_ = 0;
  Ring sends_;
  Ring completions_;
  /// Our side of a transfer, shared so that no fork takes it from the device.
  std::int64_t* word_ = nullptr;
  Registration word_registration_{};
  std::uint32_t sent_ = 0;
};

/// Holds a page of this process, and has the soft-RoCE device that is there read and write it. Empty, or what went
/// wrong.
std::string try_rdma();

}  // namespace cowherd::live
