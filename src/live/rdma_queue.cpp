#include "live/rdma_queue.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/rdma_user_ioctl_cmds.h>
#include <rdma/rdma_user_rxe.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <vector>

#include "live/host.hpp"

namespace cowherd::live {
namespace {

constexpr std::chrono::milliseconds kMostPatience = std::chrono::seconds(5);
constexpr useconds_t kPollMicroseconds = 20;

// Of the verbs' own numbers, which no header of the kernel names for programs.
constexpr std::uint8_t kInit = 1;
constexpr std::uint8_t kReadyToReceive = 2;
constexpr std::uint8_t kReadyToSend = 3;
constexpr std::uint32_t kState = 1u << 0;
constexpr std::uint32_t kAccess = 1u << 3;
constexpr std::uint32_t kKeyIndex = 1u << 4;
constexpr std::uint32_t kPort = 1u << 5;
constexpr std::uint32_t kPath = 1u << 7;
constexpr std::uint32_t kPathMtu = 1u << 8;
constexpr std::uint32_t kTimeout = 1u << 9;
constexpr std::uint32_t kRetryCount = 1u << 10;
constexpr std::uint32_t kNotReadyRetry = 1u << 11;
constexpr std::uint32_t kReceiveNumber = 1u << 12;
constexpr std::uint32_t kMostReads = 1u << 13;
constexpr std::uint32_t kNotReadyTimer = 1u << 15;
constexpr std::uint32_t kSendNumber = 1u << 16;
constexpr std::uint32_t kMostReadsThere = 1u << 17;
constexpr std::uint32_t kPeer = 1u << 20;
constexpr std::uint8_t kMtu1024 = 3;
constexpr std::uint32_t kSignaled = 1u << 1;
constexpr std::uint8_t kOnlyPort = 1;

/// Where the parts of a request begin, in C; the header's structures have them elsewhere in C++, which gives an empty
/// structure room.
constexpr std::size_t kPartsAt =
    offsetof(rxe_send_wqe, dma) + offsetof(rxe_dma_info, reserved) + sizeof(rxe_dma_info::reserved);
static_assert(kPartsAt == 208);

constexpr std::uint32_t access_of(bool writes) {
  const std::uint32_t reads = IB_UVERBS_ACCESS_REMOTE_READ;
  return writes ? reads | IB_UVERBS_ACCESS_LOCAL_WRITE | IB_UVERBS_ACCESS_REMOTE_WRITE : reads;
}

/// By write(), which whoever opened the file may. `response`: what comes back, of `bytes` bytes. 0 or an errno.
template <class Command>
int by_write(int verbs, std::uint32_t number, const Command& command, std::size_t bytes) {
  const ib_uverbs_cmd_hdr header{number, static_cast<std::uint16_t>((sizeof header + sizeof command) / 4),
                                 static_cast<std::uint16_t>(bytes / 4)};
  std::vector<std::byte> message(sizeof header + sizeof command);
  std::memcpy(message.data(), &header, sizeof header);
  std::memcpy(message.data() + sizeof header, &command, sizeof command);
  const ssize_t wrote = ::write(verbs, message.data(), message.size());
  if (wrote == static_cast<ssize_t>(message.size())) return 0;
  return wrote < 0 ? errno : EIO;
}

/// What a driver adds to an answer, where it adds nothing.
struct Nothing {};

/// Makes an object. It is answered with the verbs' part, and behind it, without room between them, the driver's.
template <class Command, class Core, class Driver>
int make(int verbs, std::uint32_t number, Command command, Core& core, Driver& driver) {
  constexpr std::size_t kDriverBytes = std::is_empty_v<Driver> ? 0 : sizeof(Driver);
  std::array<std::byte, sizeof(Core) + kDriverBytes> bytes{};
  command.response = reinterpret_cast<std::uint64_t>(bytes.data());
  const int error = by_write(verbs, number, command, bytes.size());
  std::memcpy(&core, bytes.data(), sizeof core);
  if constexpr (kDriverBytes != 0) std::memcpy(&driver, bytes.data() + sizeof core, kDriverBytes);
  return error;
}

template <class Command, class Core>
int make(int verbs, std::uint32_t number, const Command& command, Core& core) {
  Nothing nothing;
  return make(verbs, number, command, core, nothing);
}

std::uint32_t load(const std::uint32_t& word) { return std::atomic_ref(const_cast<std::uint32_t&>(word)).load(); }
void store(std::uint32_t& word, std::uint32_t value) { std::atomic_ref(word).store(value); }

std::uint8_t* element_of(rxe_queue_buf* ring, std::uint32_t index) {
  return ring->data + (std::size_t{index & ring->index_mask} << ring->log2_elem_size);
}

}  // namespace

int rdma_register(int verbs, std::uint32_t domain, std::uint64_t address, std::uint64_t length, bool writes,
                  Registration& registration) {
  ib_uverbs_reg_mr_resp answer{};
  ib_uverbs_reg_mr command{};
  command.response = reinterpret_cast<std::uint64_t>(&answer);
  command.start = address;
  command.length = length;
  command.hca_va = address;
  command.pd_handle = domain;
  command.access_flags = access_of(writes);
  constexpr unsigned kAttributes = 3;
  // By ioctl(): write() is for whoever opened the file alone.
  std::vector<std::uint64_t> words((sizeof(ib_uverbs_ioctl_hdr) + kAttributes * sizeof(ib_uverbs_attr)) / 8);
  auto* const request = reinterpret_cast<ib_uverbs_ioctl_hdr*>(words.data());
  request->length = static_cast<std::uint16_t>(words.size() * 8);
  request->object_id = UVERBS_OBJECT_DEVICE;
  request->method_id = UVERBS_METHOD_INVOKE_WRITE;
  request->num_attrs = kAttributes;
  request->driver_id = RDMA_DRIVER_RXE;
  const auto attribute = [&](unsigned at, std::uint16_t id, std::size_t bytes, std::uint64_t data) {
    ib_uverbs_attr& one = request->attrs[at];
    one.attr_id = id;
    one.len = static_cast<std::uint16_t>(bytes);
    one.flags = UVERBS_ATTR_F_MANDATORY;
    one.data = data;
  };
  attribute(0, UVERBS_ATTR_WRITE_CMD, sizeof(std::uint64_t), IB_USER_VERBS_CMD_REG_MR);
  attribute(1, UVERBS_ATTR_CORE_IN, sizeof command, reinterpret_cast<std::uint64_t>(&command));
  attribute(2, UVERBS_ATTR_CORE_OUT, sizeof answer, reinterpret_cast<std::uint64_t>(&answer));
  if (::ioctl(verbs, RDMA_VERBS_IOCTL, request) != 0) return errno;
  registration = {answer.mr_handle, answer.lkey, answer.rkey};
  return 0;
}

RdmaQueue::~RdmaQueue() {
  for (const Ring& ring : {sends_, completions_}) {
    if (ring.at != nullptr) ::munmap(ring.at, ring.bytes);
  }
  // All that was made by it goes with the last one who has it open.
  if (verbs_ >= 0) ::close(verbs_);
  if (word_ != nullptr) ::munmap(word_, kPageBytes);
}

std::string RdmaQueue::open(const SoftRoceDevice& device) {
  // Not closed at exec: what a test's exec() starts registers memory too.
  verbs_ = ::open(device.file.c_str(), O_RDWR);
  if (verbs_ < 0) return fmt::format("{}: {}", device.file, in_words(errno));
  if (std::string problem = make_objects(); !problem.empty()) return problem;
  return connect(device);
}

std::string RdmaQueue::make_objects() {
  const auto problem = [](const char* what, int error) { return fmt::format("no {}: {}", what, in_words(error)); };
  ib_uverbs_get_context_resp context{};
  if (const int error = make(verbs_, IB_USER_VERBS_CMD_GET_CONTEXT, ib_uverbs_get_context{}, context); error != 0) {
    return problem("RDMA context", error);
  }
  // Where events would be heard of.
  ::close(static_cast<int>(context.async_fd));
  ib_uverbs_alloc_pd_resp domain{};
  if (const int error = make(verbs_, IB_USER_VERBS_CMD_ALLOC_PD, ib_uverbs_alloc_pd{}, domain); error != 0) {
    return problem("protection domain", error);
  }
  domain_ = domain.pd_handle;
  void* const at = ::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return in_words(errno);
  word_ = static_cast<std::int64_t*>(at);
  const auto address = reinterpret_cast<std::uint64_t>(word_);
  if (const int error = rdma_register(verbs_, domain_, address, kPageBytes, true, word_registration_); error != 0) {
    return problem("registration", error);
  }
  ib_uverbs_create_cq completions{};
  completions.cqe = 4;
  completions.comp_channel = -1;
  ib_uverbs_create_cq_resp made{};
  rxe_create_cq_resp ring{};
  if (const int error = make(verbs_, IB_USER_VERBS_CMD_CREATE_CQ, completions, made, ring); error != 0) {
    return problem("completion queue", error);
  }
  completions_handle_ = made.cq_handle;
  const int error = map(completions_, ring.mi.offset, ring.mi.size);
  return error == 0 ? std::string() : problem("completion queue", error);
}

std::string RdmaQueue::connect(const SoftRoceDevice& device) {
  const auto problem = [](int error) { return fmt::format("no connection to itself: {}", in_words(error)); };
  ib_uverbs_create_qp queue{};
  queue.pd_handle = domain_;
  queue.send_cq_handle = completions_handle_;
  queue.recv_cq_handle = completions_handle_;
  queue.max_send_wr = 4;
  queue.max_recv_wr = 1;
  queue.max_send_sge = 1;
  queue.max_recv_sge = 1;
  queue.sq_sig_all = 1;
  queue.qp_type = IB_UVERBS_QPT_RC;
  ib_uverbs_create_qp_resp made{};
  rxe_create_qp_resp rings{};
  if (const int error = make(verbs_, IB_USER_VERBS_CMD_CREATE_QP, queue, made, rings); error != 0)
    return problem(error);
  queue_handle_ = made.qp_handle;
  queue_number_ = made.qpn;
  if (const int error = map(sends_, rings.sq_mi.offset, rings.sq_mi.size); error != 0) {
    return problem(error);
  }
  for (const std::uint8_t state : {kInit, kReadyToReceive, kReadyToSend}) {
    if (const int error = change_state(device, state); error != 0) return problem(error);
  }
  return {};
}

int RdmaQueue::map(Ring& ring, std::uint64_t offset, std::uint32_t bytes) const {
  void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, verbs_, static_cast<off_t>(offset));
  if (at == MAP_FAILED) return errno;
  ring = {static_cast<rxe_queue_buf*>(at), bytes};
  ::madvise(at, bytes, MADV_DONTFORK);
  return 0;
}

int RdmaQueue::change_state(const SoftRoceDevice& device, std::uint8_t state) const {
  ib_uverbs_modify_qp command{};
  command.qp_handle = queue_handle_;
  command.qp_state = state;
  command.attr_mask = kState;
  if (state == kInit) {
    command.attr_mask |= kAccess | kKeyIndex | kPort;
    command.qp_access_flags = access_of(true);
    command.port_num = kOnlyPort;
  } else if (state == kReadyToReceive) {
    command.attr_mask |= kPath | kPathMtu | kPeer | kReceiveNumber | kMostReadsThere | kNotReadyTimer;
    std::memcpy(command.dest.dgid, device.gid.data(), device.gid.size());
    command.dest.sgid_index = device.gid_index;
    command.dest.hop_limit = 64;
    command.dest.is_global = 1;
    command.dest.port_num = kOnlyPort;
    command.path_mtu = kMtu1024;
    command.dest_qp_num = queue_number_;
    command.max_dest_rd_atomic = 1;
    command.min_rnr_timer = 12;
  } else {
    command.attr_mask |= kSendNumber | kTimeout | kRetryCount | kNotReadyRetry | kMostReads;
    command.timeout = 17;
    command.retry_cnt = 7;
    command.rnr_retry = 7;
    command.max_rd_atomic = 1;
  }
  return by_write(verbs_, IB_USER_VERBS_CMD_MODIFY_QP, command, 0);
}

int RdmaQueue::transfer(std::uint32_t opcode, const Registration& registration, std::uint64_t address) {
  const std::uint32_t at = load(sends_.at->producer_index);
  rxe_send_wqe work{};
  work.wr.wr_id = ++sent_;
  // Of kernels whose requests have their number of parts here.
  work.wr.reserved = 1;
  work.wr.opcode = opcode;
  work.wr.send_flags = kSignaled;
  work.wr.wr.rdma.remote_addr = address;
  work.wr.wr.rdma.rkey = registration.remote_key;
  work.iova = address;
  work.ssn = sent_ - 1;
  work.dma.length = sizeof *word_;
  work.dma.resid = sizeof *word_;
  work.dma.num_sge = 1;
  const rxe_sge ours{reinterpret_cast<std::uint64_t>(word_), sizeof *word_, word_registration_.local_key};
  std::uint8_t* const element = element_of(sends_.at, at);
  std::memcpy(element, &work, kPartsAt);
  std::memcpy(element + kPartsAt, &ours, sizeof ours);
  store(sends_.at->producer_index, (at + 1) & sends_.at->index_mask);
  ib_uverbs_post_send_resp posted{};
  ib_uverbs_post_send bell;
  std::memset(&bell, 0, sizeof bell);
  bell.qp_handle = queue_handle_;
  bell.wqe_size = sizeof(ib_uverbs_send_wr);
  if (const int error = make(verbs_, IB_USER_VERBS_CMD_POST_SEND, bell, posted); error != 0) return error;
  return await_completion();
}

int RdmaQueue::await_completion() {
  const auto until = std::chrono::steady_clock::now() + kMostPatience;
  const std::uint32_t at = load(completions_.at->consumer_index);
  while (load(completions_.at->producer_index) == at) {
    if (std::chrono::steady_clock::now() > until) return ETIMEDOUT;
    ::usleep(kPollMicroseconds);
  }
  ib_uverbs_wc done{};
  std::memcpy(&done, element_of(completions_.at, at), sizeof done);
  store(completions_.at->consumer_index, (at + 1) & completions_.at->index_mask);
  if (done.wr_id != sent_) return EBADMSG;
  return done.status == 0 ? 0 : EIO;
}

Reply RdmaQueue::read(const Registration& registration, std::uint64_t address) {
  std::atomic_ref(*word_).store(0);
  const int error = transfer(IB_UVERBS_WR_RDMA_READ, registration, address);
  return {error == 0 ? std::atomic_ref(*word_).load() : 0, error};
}

Reply RdmaQueue::write(const Registration& registration, std::uint64_t address, std::int64_t value) {
  std::atomic_ref(*word_).store(value);
  return {0, transfer(IB_UVERBS_WR_RDMA_WRITE, registration, address)};
}

int RdmaQueue::deregister(const Registration& registration) const {
  return by_write(verbs_, IB_USER_VERBS_CMD_DEREG_MR, ib_uverbs_dereg_mr{registration.handle}, 0);
}

std::string try_rdma() {
  const FoundSoftRoce found = find_soft_roce();
  if (!found.device) return found.problem;
  RdmaQueue queue;
  if (std::string problem = queue.open(*found.device); !problem.empty()) return problem;
  void* const at = ::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return in_words(errno);
  auto* const word = static_cast<volatile std::int64_t*>(at);
  const auto address = reinterpret_cast<std::uint64_t>(at);
  Registration registration{};
  std::string problem;
  if (const int error = rdma_register(queue.verbs(), queue.domain(), address, kPageBytes, true, registration)) {
    problem = "no registration: " + in_words(error);
  } else {
    *word = 2;
    const Reply read = queue.read(registration, address);
    const Reply wrote = read.error == 0 ? queue.write(registration, address, 3) : read;
    if (wrote.error != 0) problem = "no transfer: " + in_words(wrote.error);
    if (problem.empty() && read.value != 2) problem = "what the device read is not what was written";
    if (problem.empty() && *word != 3) problem = "what the device wrote is not there";
    const int error_of_end = queue.deregister(registration);
    if (problem.empty() && error_of_end != 0) problem = "what is registered stays so: " + in_words(error_of_end);
  }
  ::munmap(at, kPageBytes);
  return problem;
}

}  // namespace cowherd::live
