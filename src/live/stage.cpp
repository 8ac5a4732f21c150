#include "live/stage.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <new>

#include "litmus/resolve.hpp"
#include "litmus/spelling.hpp"
#include "live/agent.hpp"
#include "live/host.hpp"
#include "live/poison.hpp"
#include "live/spelling.hpp"
#include "live/userfault.hpp"

namespace cowherd::live {
namespace {

using litmus::OpCode;
using litmus::Operation;

/// Where the memory of tests lies, in every process: far from where programs, libraries and heaps are put, with address
/// randomization and under AddressSanitizer too; and where User Mode Linux has only 39 bits of addresses.
constexpr std::uint64_t kBases[] = {0x200000000000, 0x2000000000};
constexpr unsigned kSliceMilliseconds = 50;
/// Where somebody may have to wait for userfaultfd's handler, of which no wake-up tells.
constexpr unsigned kHearMilliseconds = 1;
constexpr useconds_t kLookAgainMicroseconds = 200;

/// 0: none of them can be had.
std::uint64_t usable_base() {
  for (const std::uint64_t base : kBases) {
    auto* const wanted = reinterpret_cast<void*>(base);
    void* const got = ::mmap(wanted, kPageBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (got == MAP_FAILED) continue;
    ::munmap(got, kPageBytes);
    if (got == wanted) return base;
  }
  return 0;
}

/// What /proc says of a process that may be another's child.
bool has_ended(pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/stat", process));
  std::string line;
  if (!std::getline(file, line)) return true;
  // After the name, which is in brackets and may hold anything.
  const std::size_t name = line.rfind(") ");
  return name != std::string::npos && (line[name + 2] == 'Z' || line[name + 2] == 'X');
}

}  // namespace

Stage::~Stage() {
  clear();
  devices_.clear();
  if (lifeline_ >= 0) {
    ::close(lifeline_);
    ::close(region_->lifeline);
  }
  if (region_ != nullptr) ::munmap(region_, sizeof(Region));
  if (region_fd_ >= 0) ::close(region_fd_);
  if (moved_) ::sched_setaffinity(0, sizeof processors_, &processors_);
  if (program_ != nullptr && !was_reaper_) ::prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
}

std::string Stage::open(const litmus::Program& program, const std::vector<DevicePlan>& devices,
                        const KernelUses& uses) {
  if (::sysconf(_SC_PAGESIZE) != static_cast<long>(kPageBytes)) return "pages are not of 4096 bytes here";
  const std::uint64_t base = usable_base();
  if (base == 0) return "no room in the address space";
  layout_ = Layout(program, base);
  if (std::string problem = work_->open(uses); !problem.empty()) return problem;
  uses_ = uses;
  program_ = &program;
  int reaper = 0;
  ::prctl(PR_GET_CHILD_SUBREAPER, &reaper, 0, 0, 0);
  was_reaper_ = reaper != 0;
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  // A wake-up on the same processor costs a tenth of one on another, and no two of them ever run at the same time.
  const int here = ::sched_getcpu();
  if (!all_processors_ && here >= 0 && ::sched_getaffinity(0, sizeof processors_, &processors_) == 0) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(here), &one);
    moved_ = ::sched_setaffinity(0, sizeof one, &one) == 0;
  }
  // Not closed at exec: what a test's exec() starts goes on from there.
  region_fd_ = static_cast<int>(::syscall(SYS_memfd_create, "cowherd-live", 0));
  if (region_fd_ < 0 || ::ftruncate(region_fd_, sizeof(Region)) != 0) return "no shared memory: " + in_words(errno);
  void* const memory = ::mmap(nullptr, sizeof(Region), PROT_READ | PROT_WRITE, MAP_SHARED, region_fd_, 0);
  if (memory == MAP_FAILED) return "no shared memory: " + in_words(errno);
  region_ = new (memory) Region;
  int line[2];
  if (::pipe(line) != 0) return "no pipe: " + in_words(errno);
  region_->lifeline = line[0];
  lifeline_ = line[1];
  has_handler_ = uses_userfault(program);
  region_->has_seconds = has_handler_ ? 1 : 0;
  for (const DevicePlan& plan : devices) {
    devices_.push_back(std::make_unique<Device>());
    if (std::string problem = devices_.back()->open(plan.way, plan.pages); !problem.empty()) return problem;
  }
  return files_.open(program, work_->disk());
}

void Stage::clear() {
  if (group_ > 0) {
    ::kill(-group_, SIGKILL);
    // Those whose parents are gone have become ours, so that nobody is left when there is nobody to wait for.
    while (::waitpid(-group_, nullptr, __WALL) > 0 || errno == EINTR) {
    }
  }
  group_ = 0;
  end_handlers();
  for (int& watch : watch_) {
    if (watch >= 0) ::close(watch);
    watch = -1;
  }
  for (const auto& device : devices_) device->release();
  // Not before nobody has them any more.
  for (const std::uint64_t frame : poisoned_) heal_frame(frame);
  poisoned_.clear();
}

pid_t Stage::pid_of(std::uint8_t process) const { return region_->channels[server_[process]].process.load(); }

Request Stage::on_pages(Ask ask, const litmus::Place& place) const {
  Request request;
  request.ask = ask;
  request.address = address_of(place);
  request.length = place.pages * layout_.page_bytes();
  return request;
}

Answer Stage::begin(const litmus::Program& program) {
  clear();
  asked_.fill(0);
  suspended_by_.fill(std::nullopt);
  merged_.clear();
  for (Channel& channel : region_->channels) {
    channel.asked.store(0);
    channel.answered.store(0);
    channel.process.store(0);
    channel.thread.store(0);
  }
  for (std::uint8_t b = 0; b < litmus::kMaxBlocks; ++b) server_[b] = b;
  files_.empty_pool_files();
  if (!pool_is_whole()) return {Errno{0}, 0, "huge pages of the run before do not come back to the pool"};
  if (std::string problem = files_.begin(program); !problem.empty()) return {Errno{0}, 0, std::move(problem)};
  for (std::uint8_t b = 0; b < program.blocks.size(); ++b) {
    const litmus::Block& block = program.blocks[b];
    if (block.kind != litmus::BlockKind::kProcess || block.start != litmus::BlockStart::kAtTimeZero) continue;
    if (Answer born = spawn(b); !born.lost.empty()) return born;
    for (const litmus::Variable& variable : program.variables) {
      if (Answer built = build(b, variable); !built.lost.empty()) return built;
    }
  }
  return {};
}

Answer Stage::spawn(std::uint8_t block) {
  const pid_t child = ::fork();
  if (child < 0) return {Errno{0}, 0, "no process: " + in_words(errno)};
  if (child == 0) {
    ::close(lifeline_);
    for (const auto& device : devices_) device->leave_to_parent();
    work_->leave_to_parent();
    ::setpgid(0, group_);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    // Base pages are meant, whatever the machine prefers, where the test does not say otherwise.
    ::prctl(PR_SET_THP_DISABLE, uses_.huge ? 0 : 1, 0, 0, 0);
    for (const int signal : {SIGINT, SIGTERM, SIGPIPE}) ::signal(signal, SIG_DFL);
    serve(*region_, region_fd_, block);
  }
  if (group_ == 0) group_ = child;
  ::setpgid(child, group_);
  return await_birth(block);
}

Answer Stage::build(std::uint8_t block, const litmus::Variable& variable) {
  using litmus::VariableKind;
  if (variable.kind == VariableKind::kUnmapped) return {};
  litmus::Place place;
  place.variable = static_cast<std::uint8_t>(&variable - program_->variables.data());
  place.pages = static_cast<std::uint8_t>(variable.pages);
  Request request = on_pages(Ask::kMap, place);
  request.first = PROT_READ | PROT_WRITE;
  request.second = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
  say_backing(request, place);
  const bool is_thp = variable.kind == VariableKind::kThp || variable.kind == VariableKind::kThpValue;
  const bool is_written = litmus::is_written(variable.kind);
  const bool is_read = variable.kind == VariableKind::kZeroPage;
  if (variable.kind == VariableKind::kSecret) request.ask = Ask::kMapSecret;
  Answer built = ask(block, request);
  if (is_thp && built.error == Errno{0} && built.lost.empty()) {
    Request advice = on_pages(Ask::kAdvise, place);
    advice.first = advice_of(Advice::kHugePage);
    built = ask(block, advice);
  }
  for (std::uint32_t page = 0; page < variable.pages && (is_written || is_read); ++page) {
    place.page = static_cast<std::uint8_t>(page);
    Request access = on_pages(is_read ? Ask::kLoad : Ask::kStore, place);
    access.value = variable.value;
    if (built.error == Errno{0} && built.lost.empty()) built = ask(block, access);
  }
  // All of a page that was written is there, where it is as large as many. What cannot do that is as it was.
  if (uses_.huge && is_written && built.error == Errno{0} && built.lost.empty()) {
    place.page = 0;
    Request populate = on_pages(Ask::kAdvise, place);
    populate.first = advice_of(Advice::kPopulateWrite);
    Answer populated = ask(block, populate);
    if (!populated.lost.empty()) return populated;
  }
  if (built.error == Errno{0} && built.lost.empty() && variable.protection != Protection::kReadWrite) {
    request.ask = Ask::kProtect;
    request.first = protection_of(variable.protection);
    built = ask(block, request);
  }
  if (built.error != Errno{0} && built.lost.empty()) {
    built.lost = fmt::format("the init block cannot be built: {}: {}", variable.name, name_of(built.error));
  }
  return built;
}

void Stage::post(std::uint8_t block, const Request& request) {
  Channel& channel = region_->channels[block];
  channel.request = request;
  channel.request.not_before = not_before_[block];
  channel.asked.store(++asked_[block]);
  wake(channel.asked);
}

bool Stage::gone(std::uint8_t block) const {
  pollfd process{watch_[block], POLLIN, 0};
  return watch_[block] >= 0 ? ::poll(&process, 1, 0) > 0 : has_ended(region_->channels[block].process.load());
}

bool Stage::await_end(std::uint8_t block) const {
  const auto until = std::chrono::steady_clock::now() + patience_;
  while (std::chrono::steady_clock::now() < until) {
    pollfd ended{watch_[block], POLLIN, 0};
    if (watch_[block] >= 0 ? ::poll(&ended, 1, kSliceMilliseconds) > 0 : gone(block)) return true;
    if (watch_[block] < 0) ::usleep(kLookAgainMicroseconds);
  }
  return false;
}

Answer Stage::lost(std::uint8_t block, std::string_view what) const {
  const bool is_second = block >= channel_of_second(0);
  const bool is_device = !is_second && block >= channel_of_device(0);
  const std::string& name = is_device ? program_->devices[block - channel_of_device(0)]
                                      : program_->blocks[is_second ? block - channel_of_second(0) : block].name;
  return {Errno{0}, 0, fmt::format("{} {}", name, what)};
}

Answer Stage::await(std::uint8_t block) {
  Channel& channel = region_->channels[block];
  const auto until = std::chrono::steady_clock::now() + patience_;
  if (has_handler_) asked_now_ = block;
  while (true) {
    const std::uint32_t answered = channel.answered.load();
    if (answered == asked_[block]) return answer_of(channel.reply);
    if (has_handler_) {
      hear();
      Answer waits;
      waits.waits = true;
      if (parked_[block]) return waits;
    }
    sleep_while(channel.answered, answered, has_handler_ ? kHearMilliseconds : kSliceMilliseconds);
    if (channel.answered.load() == asked_[block]) continue;
    if (gone(block)) return lost(block, "is gone in the middle of an operation");
    if (std::chrono::steady_clock::now() > until) return lost(block, "hangs in an operation: it did not end in time");
  }
}

Answer Stage::ask(std::uint8_t block, const Request& request) {
  post(block, request);
  Answer answer = await(block);
  return answer.waits ? lost(block, "waits for userfaultfd's handler in the middle of something else") : answer;
}

Answer Stage::await_birth(std::uint8_t block) {
  Channel& channel = region_->channels[block];
  const auto until = std::chrono::steady_clock::now() + patience_;
  while (channel.process.load() == 0) {
    sleep_while(channel.answered, 0, 1);
    if (std::chrono::steady_clock::now() > until) return lost(block, "did not start in time");
  }
  if (watch_[block] >= 0) ::close(watch_[block]);
  watch_[block] = static_cast<int>(::syscall(SYS_pidfd_open, channel.process.load(), 0));
  // Where there is no such call, /proc tells.
  return {};
}

std::uint8_t Stage::server_of(std::uint8_t process) const {
  const std::uint8_t server = server_[process];
  // A child of vfork lives in the same memory.
  const std::uint8_t there = suspended_by_[server].value_or(server);
  return is_busy(there) ? channel_of_second(memory_of(process)) : there;
}

bool Stage::is_busy(std::size_t channel) const {
  return std::any_of(under_way_.begin(), under_way_.end(),
                     [channel](const auto& under_way) { return under_way && under_way->by == channel; });
}

Answer Stage::start(std::uint8_t block, const Operation& op) {
  Request request;
  request.block = op.block;
  if (op.code == OpCode::kVfork) {
    request.ask = Ask::kVfork;
    post(block, request);
    if (Answer born = await_birth(op.block); !born.lost.empty()) return born;
    suspended_by_[block] = op.block;
    return {};
  }
  request.ask = op.code == OpCode::kFork ? Ask::kFork : Ask::kThread;
  Answer started = ask(block, request);
  if (started.error != Errno{0} || !started.lost.empty()) return started;
  if (op.code == OpCode::kFork) adopt(op.block);
  return await_birth(op.block);
}

Answer Stage::resume_parent(std::uint8_t child) {
  for (std::uint8_t b = 0; b < litmus::kMaxBlocks; ++b) {
    if (suspended_by_[b] != child) continue;
    suspended_by_[b].reset();
    return await(b);
  }
  return {};
}

Answer Stage::exec(std::uint8_t block, std::uint8_t process) {
  if (is_busy(channel_of_second(process))) {
    return {Errno{0}, 0, "what waits for a page of another process cannot outlive its exec()", true};
  }
  Request request;
  request.ask = Ask::kExec;
  Answer done = ask(block, request);
  if (done.error != Errno{0} || !done.lost.empty()) return done;
  server_[process] = block;
  if (memory_of(process) == process) forget_memory(process);
  // The other threads are gone, and whoever waited for a child of vfork among them.
  for (std::uint8_t b = 0; b < program_->blocks.size(); ++b) {
    if (b != block && litmus::process_of(*program_, b) == process) suspended_by_[b].reset();
  }
  const Answer parent = resume_parent(process);
  return parent.lost.empty() ? done : parent;
}

Answer Stage::exit(std::uint8_t process) {
  const std::uint8_t server = server_[process];
  Request request;
  request.ask = Ask::kExit;
  post(server, request);
  if (!await_end(server)) return lost(server, "hangs in exit(): it did not end in time");
  return resume_parent(process);
}

Answer Stage::debug(const Operation& op, std::int64_t value) const {
  const std::string path = fmt::format("/proc/{}/mem", pid_of(*op.target));
  const int memory = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (memory < 0) return {Errno{0}, 0, path + ": " + in_words(errno)};
  const bool writes = op.code == OpCode::kPtraceWrite;
  std::int64_t word = value;
  const auto at = static_cast<off_t>(address_of(op.place));
  const ssize_t moved = writes ? ::pwrite(memory, &word, sizeof word, at) : ::pread(memory, &word, sizeof word, at);
  const int error = errno;
  ::close(memory);
  if (moved == sizeof word) return {Errno{0}, writes ? 0 : word, {}};
  // What get_user_pages() refuses with EFAULT is EIO in this file.
  return {error == EIO ? Errno::kFault : static_cast<Errno>(error), 0, {}};
}

Answer Stage::perform(std::uint8_t block, std::uint8_t process, const Operation& op, std::int64_t value) {
  Request request = litmus::names_variable(op) ? on_pages(Ask::kLoad, op.place) : Request{};
  switch (op.code) {
    case OpCode::kRead:
      return ask_or_wait(block, request);
    case OpCode::kWrite:
      request.ask = Ask::kStore;
      request.value = value;
      return ask_or_wait(block, request);
    case OpCode::kMmap:
      request.ask = Ask::kMap;
      request.first = protection_of(op.protection);
      request.second = map_flags_of(op.map_flags);
      say_backing(request, op.place);
      return ask(block, request);
    case OpCode::kMunmap:
      request.ask = Ask::kUnmap;
      return ask(block, request);
    case OpCode::kMremap:
      request.ask = Ask::kRemap;
      request.first = remap_flags_of(op.remap_flags);
      request.second = static_cast<std::int32_t>(op.to.pages * layout_.page_bytes());
      request.value = static_cast<std::int64_t>(address_of(op.to));
      return ask(block, request);
    case OpCode::kMprotect:
      request.ask = Ask::kProtect;
      request.first = protection_of(op.protection);
      return ask(block, request);
    case OpCode::kMadvise:
      request.ask = Ask::kAdvise;
      request.first = advice_of(op.advice);
      return ask_or_wait(block, request);
    case OpCode::kMlock:
    case OpCode::kMunlock:
      request.ask = op.code == OpCode::kMlock ? Ask::kLock : Ask::kUnlock;
      return ask_or_wait(block, request);
    case OpCode::kMsync:
      request.ask = Ask::kSync;
      return ask(block, request);
    case OpCode::kFileRead:
    case OpCode::kFileWrite:
    case OpCode::kTruncate:
    case OpCode::kPunch:
    case OpCode::kWriteback:
    case OpCode::kDropCache:
      return on_file(block, op, value);
    case OpCode::kSwapOut:
      return swap_out(op.target.value_or(process), op.place);
    case OpCode::kSwapIn:
      return swap_in(op.target.value_or(process), op.place);
    case OpCode::kKsmMerge:
      return merge(process, op);
    case OpCode::kKsmZero:
      return merge_zeros(op.target.value_or(process), op.place);
    case OpCode::kKsmUnmerge:
      return part(op.target.value_or(process), op.place);
    case OpCode::kCollapse:
      return collapse(op.target.value_or(process), op.place);
    case OpCode::kSplit:
      return split(op.target.value_or(process), op.place);
    case OpCode::kMigrate:
      return migrate(op.target.value_or(process), op.place);
    case OpCode::kPoison:
      return poison(op.target.value_or(process), op.place);
    case OpCode::kFork:
    case OpCode::kVfork:
    case OpCode::kThread:
      return start(block, op);
    case OpCode::kExec:
      return exec(block, process);
    case OpCode::kWait:
      request.ask = Ask::kReap;
      request.first = pid_of(op.block);
      return ask(block, request);
    case OpCode::kPin:
      return take(block, process, op);
    case OpCode::kUnpin:
    case OpCode::kUnpinDirty:
      return let_go(block, op);
    case OpCode::kDmaRead:
    case OpCode::kDmaWrite:
      return transfer(block, op, value);
    case OpCode::kPtraceRead:
    case OpCode::kPtraceWrite:
      return debug_aside(block, op, value);
    case OpCode::kClearRefs:
      return clear_refs(op.target.value_or(process));
    default:
      if (is_of_handler(op.code)) return as_handler(block, process, op, value);
      // exit() is the course's; what else is not here is not in known.cpp either.
      break;
  }
  return lost(block, "is told what no running kernel can be told");
}

Answer Stage::look(std::uint8_t process, const litmus::Place& place) {
  const Request request = on_pages(Ask::kLoad, place);
  return !has_handler_ ? ask(server_of(process), request) : look_by_second(process, request);
}

}  // namespace cowherd::live
