#include "live/probe.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>
#include <utility>

#include "live/card.hpp"
#include "live/device.hpp"
#include "live/files.hpp"
#include "live/gup_pins.hpp"
#include "live/host.hpp"
#include "live/huge_pool.hpp"
#include "live/kernel_work.hpp"
#include "live/layout.hpp"
#include "live/other_node.hpp"
#include "live/page_facts.hpp"
#include "live/poison.hpp"
#include "live/rdma_netlink.hpp"
#include "live/rdma_queue.hpp"
#include "live/spelling.hpp"
#include "live/userfault.hpp"

namespace cowherd::live {
namespace {

constexpr std::chrono::milliseconds kPatience = std::chrono::seconds(2);

constexpr std::array<NeedInfo, kNeeds> kInfos = {{
    {"io_uring", "pins for writing, held as long as wanted: fixed buffers",
     "sysctl kernel.io_uring_disabled=0; CONFIG_IO_URING"},
    {"vmsplice", "references by get, for reading", "CONFIG_ADVISE_SYSCALLS and a seccomp profile that allows vmsplice"},
    {"proc-mem", "a debugger's reads and writes: ptrace_read, ptrace_write",
     "CONFIG_PROC_MEM_ALWAYS_FORCE, or boot with proc_mem.force_override=always; sysctl kernel.yama.ptrace_scope=1"},
    {"process-vm", "another process's memory by process_vm_readv, process_vm_writev", "CONFIG_CROSS_MEMORY_ATTACH"},
    {"clear-refs", "rounds of soft-dirty tracking: clear_refs", "CONFIG_MEM_SOFT_DIRTY"},
    {"populate", "MADV_POPULATE_READ and MADV_POPULATE_WRITE", "Linux 5.14"},
    {"page-frames", "which frame a page is in: /proc/PID/pagemap with frame numbers", "run as root (CAP_SYS_ADMIN)"},
    {"page-counts", "how many page tables map a frame: /proc/kpagecount", "run as root; CONFIG_PROC_PAGE_MONITOR"},
    {"page-exclusive", "whether a page is its owner's alone: /proc/kpageflags",
     "run as root; CONFIG_PROC_PAGE_MONITOR; Linux 5.19"},
    {"gup-test", "long-term pins for reading: /sys/kernel/debug/gup_test",
     "CONFIG_GUP_TEST, then: mount -t debugfs none /sys/kernel/debug"},
    {"fail-nth", "allocations that fail: fail_nth", "CONFIG_FAULT_INJECTION, CONFIG_FAILSLAB, CONFIG_FAIL_PAGE_ALLOC"},
    {"huge-pages", "transparent huge pages",
     "run as root, or: echo madvise > "
     "/sys/kernel/mm/transparent_hugepage/enabled; CONFIG_TRANSPARENT_HUGEPAGE"},
    {"hugetlb", "a pool of huge pages of 2 MiB", "run as root, or: sysctl vm.nr_hugepages=16; CONFIG_HUGETLBFS"},
    {"ksm", "same-page merging: MADV_MERGEABLE, ksm_merge", "run as root; CONFIG_KSM"},
    {"ksm-zero", "same-page merging with the zero page: ksm_zero", "run as root; CONFIG_KSM; Linux 4.11"},
    {"swap", "pages that leave memory: MADV_PAGEOUT, swapout",
     "run as root; CONFIG_SWAP; modprobe zram, or a file system for swap files in /var/tmp; Linux 5.4"},
    {"cold-pages", "advice to reclaim: MADV_COLD and MADV_FREE", "Linux 5.4"},
    {"secret", "memory to which nobody takes references: memfd_secret()",
     "CONFIG_SECRETMEM; before Linux 6.5 boot with secretmem.enable=1; ulimit -l"},
    {"userfaultfd", "somebody else decides about faults: uffd_register, uffd_copy, uffd_zeropage",
     "CONFIG_USERFAULTFD; Linux 5.6"},
    {"userfault-kernel", "the kernel's own accesses wait for that too: pins, ptrace, mlock",
     "run as root, or sysctl vm.unprivileged_userfaultfd=1"},
    {"userfault-events", "memory that stays registered over fork and mremap", "run as root (CAP_SYS_PTRACE)"},
    {"userfault-wp", "write protection by userfaultfd: uffd_wp, uffd_unwp", "a processor of 64 bits; Linux 5.13"},
    {"userfault-minor", "pages that a file has and nobody maps: uffd_continue",
     "a processor of 64 bits; CONFIG_SHMEM; Linux 5.14"},
    {"userfault-move", "pages that move by userfaultfd: uffd_move", "Linux 6.8"},
    {"userfault-poison", "pages that nobody gets by userfaultfd: uffd_poison", "Linux 6.6"},
    {"userfault-async", "write protection by userfaultfd that nobody waits for: UFFD_WP_ASYNC", "Linux 6.7"},
    {"userfault-unpopulated", "write protection by userfaultfd where no page is: UFFD_WP_UNPOPULATED", "Linux 6.4"},
    {"userfault-wp-file", "write protection of files in memory by userfaultfd", "Linux 5.19"},
    {"held-copy", "pins for one copy by process_vm_readv or process_vm_writev, while it is under way: userfaultfd",
     "run as root, or sysctl vm.unprivileged_userfaultfd=1; CONFIG_USERFAULTFD, CONFIG_CROSS_MEMORY_ATTACH; Linux 5.6"},
    {"direct-io", "references for one read or write, while it is under way: O_DIRECT on a loop device on FUSE",
     "run as root; CONFIG_FUSE_FS, CONFIG_BLK_DEV_LOOP, CONFIG_IO_URING; Linux 5.8"},
    {"direct-pins", "O_DIRECT pins; before, it takes ordinary references", "Linux 6.5"},
    {"disk", "files on a disk whose blocks can be looked at: a file system of our own on a loop device",
     "run as root; CONFIG_EXT4_FS, CONFIG_BLK_DEV_LOOP"},
    {"disk-pins", "pins of a disk's pages, without a file system that stops over them", "Linux 5.18"},
    {"cache-facts", "which pages of a file are clean, before they leave the cache: cachestat()", "Linux 6.5"},
    {"other-node", "pages that move: migrate", "a second node of memory; or boot with numa=fake=2 (CONFIG_NUMA_EMU)"},
    {"poison", "memory that fails: poison",
     "run as root; CONFIG_MEMORY_FAILURE, CONFIG_HWPOISON_INJECT; mount -t debugfs none /sys/kernel/debug"},
    {"collapse", "huge pages made of small ones: MADV_COLLAPSE", "CONFIG_TRANSPARENT_HUGEPAGE; Linux 6.1"},
    {"page-scan", "which page is huge, which the page of zeros: PAGEMAP_SCAN", "Linux 6.7; CONFIG_PROC_PAGE_MONITOR"},
    {"rdma", "pins by RDMA registration, for writing or reading: ibv_reg_mr() with soft-RoCE",
     "run as root; CONFIG_RDMA_RXE, CONFIG_INFINIBAND_USER_ACCESS; or, for any user, as root: modprobe rdma_rxe && "
     "rdma link add rxe0 type rxe netdev lo; Linux 5.6"},
    {"rdma-reads", "memory that is registered for reading is pinned so; before, for writing with FOLL_FORCE",
     "Linux 6.2"},
    {"rdma-copy-on-fork", "the kernel's word that ibv_fork_init() need do nothing: RDMA_NLDEV_SYS_ATTR_COPY_ON_FORK",
     "CONFIG_INFINIBAND; Linux 5.13"},
    {"cuda", "memory held by a graphics card: cuMemHostRegister()", "an NVIDIA card and its driver, libcuda.so.1"},
}};

Offer yes(std::string found) { return {true, std::move(found)}; }
Offer no(std::string found) { return {false, std::move(found)}; }

bool exists(const char* path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

/// Whether Linux is this old or older.
Offer since(unsigned major, unsigned minor) {
  const std::string release = kernel_release();
  unsigned here[2] = {0, 0};
  if (std::sscanf(release.c_str(), "%u.%u", &here[0], &here[1]) != 2) return no("Linux " + release);
  return {std::pair(here[0], here[1]) >= std::pair(major, minor), "Linux " + release};
}

/// A page of this process, written once.
class OwnPage {
 public:
  explicit OwnPage(int protection = PROT_READ | PROT_WRITE)
      : at_(::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (at_ == MAP_FAILED) return;
    *word() = 1;
    if (protection != (PROT_READ | PROT_WRITE)) ::mprotect(at_, kPageBytes, protection);
  }
  OwnPage(const OwnPage&) = delete;
  OwnPage& operator=(const OwnPage&) = delete;
  ~OwnPage() {
    if (at_ != MAP_FAILED) ::munmap(at_, kPageBytes);
  }

  [[nodiscard]] volatile std::int64_t* word() const { return static_cast<volatile std::int64_t*>(at_); }
  /// False, and errno, where the kernel does not take it.
  [[nodiscard]] bool advise(Advice advice) const { return ::madvise(at_, kPageBytes, advice_of(advice)) == 0; }
  [[nodiscard]] std::uint64_t address() const { return reinterpret_cast<std::uint64_t>(at_); }

  /// Its line in /proc/self/pagemap; 0 where that cannot be read.
  [[nodiscard]] std::uint64_t entry() const {
    std::uint64_t entry = 0;
    const int file = ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    const auto at = static_cast<off_t>(address() / kPageBytes * sizeof entry);
    const bool read = ::pread(file, &entry, sizeof entry, at) == sizeof entry;
    ::close(file);
    return read ? entry : 0;
  }

 private:
  void* at_;
};

/// Takes a page, and lets the device read and write it.
Offer try_device(Way way) {
  const OwnPage page;
  Device device;
  if (std::string problem = device.open(way, 1); !problem.empty()) return no(problem);
  const PinFlags flags = way == Way::kGupTest ? PinFlags::kLongTerm : PinFlags::kLongTerm | PinFlags::kWrite;
  const Request request = device.take_request(page.address(), kPageBytes, 1, flags);
  iovec buffer{reinterpret_cast<void*>(request.address), request.length};
  long asked = 0;
  switch (request.ask) {
    case Ask::kRegister:
      asked = ::syscall(SYS_io_uring_register, request.first, IORING_REGISTER_BUFFERS, &buffer, 1);
      break;
    case Ask::kSplice:
      asked = ::vmsplice(request.first, &buffer, 1, SPLICE_F_NONBLOCK);
      break;
    case Ask::kGupTest:
      errno = gup_test_pin(request.first, request.address, request.length, static_cast<std::uint32_t>(request.second));
      asked = errno == 0 ? 0 : -1;
      break;
    default:
      asked = ::syscall(SYS_io_uring_enter, request.first, 1, 0, 0, nullptr, 0);
  }
  const Reply taken = device.taken({0, asked < 0 ? errno : 0}, kPatience);
  if (taken.error != 0) return no(in_words(taken.error));
  device.hold(page.address(), kPageBytes);
  *page.word() = 2;
  const Reply read = device.read(0);
  if (read.error != 0 || read.value != 2) return no("what the device read is not what was written");
  if (way == Way::kPipe || way == Way::kDirectWrite || way == Way::kGupTest) return yes("works");
  if (device.write(0, 3).error != 0 || *page.word() != 3) return no("what the device wrote is not there");
  return yes("works");
}

Offer try_proc_mem() {
  const OwnPage page(PROT_READ);
  const int memory = ::open("/proc/self/mem", O_RDWR | O_CLOEXEC);
  if (memory < 0) return no(in_words(errno));
  const std::int64_t word = 5;
  const bool written = ::pwrite(memory, &word, sizeof word, static_cast<off_t>(page.address())) == sizeof word;
  const int error = errno;
  ::close(memory);
  if (!written) return no("read-only memory cannot be written: " + in_words(error));
  return *page.word() == 5 ? yes("works") : no("what was written is not there");
}

/// What is written while it is under way is what it reads.
Offer try_held_copy() {
  if (!since(5, 6).here) return no("a copy takes ordinary references here: " + kernel_release());
  const OwnPage page;
  HeldCopy copy;
  if (std::string problem = copy.open(kPageBytes); !problem.empty()) return no(problem);
  const Reply begun = copy.start(::getpid(), page.address(), kPageBytes, false, kPatience);
  if (begun.error != 0) return no(in_words(begun.error));
  *page.word() = 2;
  std::array<std::byte, kPageBytes> bytes{};
  const Reply moved = copy.read(bytes);
  std::int64_t word = 0;
  std::memcpy(&word, bytes.data(), sizeof word);
  return moved.error == 0 && word == 2 ? yes("works") : no("what was copied is not what was written");
}

Offer try_process_vm() {
  const OwnPage page;
  std::int64_t word = 0;
  iovec here{&word, sizeof word};
  iovec there{reinterpret_cast<void*>(page.address()), sizeof word};
  if (::process_vm_readv(::getpid(), &here, 1, &there, 1, 0) != sizeof word) return no(in_words(errno));
  return yes("works");
}

Offer try_clear_refs() {
  const OwnPage page;
  if ((page.entry() & kSoftDirty) == 0) return no("/proc/self/pagemap shows no soft-dirty bit");
  return exists("/proc/self/clear_refs") ? yes("works") : no("no /proc/self/clear_refs");
}

Offer try_populate() {
  const OwnPage page;
  return page.advise(Advice::kPopulateRead) ? yes("works") : no(in_words(errno));
}

Offer try_page_frames() {
  const OwnPage page;
  const std::uint64_t entry = page.entry();
  if ((entry & kPresent) == 0) return no("/proc/self/pagemap cannot be read");
  return (entry & kFrameBits) != 0 ? yes("works") : no("frame numbers are hidden");
}

/// /proc/kpagecount may be there and end before the frames that there are.
Offer try_page_counts() {
  const OwnPage page;
  const std::uint64_t frame = page.entry() & kFrameBits;
  if (frame == 0) return no("frame numbers are hidden");
  return mappings_of(frame) == 1 ? yes("works") : no("/proc/kpagecount does not count a page of this program");
}

Offer try_file(const char* path, int flags) {
  const int file = ::open(path, flags | O_CLOEXEC);
  if (file < 0) return no(fmt::format("{}: {}", path, in_words(errno)));
  ::close(file);
  return yes(path);
}

/// Has a page of 2 MiB come to be where it is advised.
Offer try_huge_pages() {
  if (!exists("/sys/kernel/mm/transparent_hugepage/enabled")) return no("not in this kernel");
  KernelWork work;
  if (std::string problem = work.open({.huge = true}); !problem.empty()) return no(problem);
  constexpr std::uint64_t kRoom = 2 * kHugeBytes;
  void* const at = ::mmap(nullptr, kRoom, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return no(in_words(errno));
  const std::uint64_t first = (reinterpret_cast<std::uint64_t>(at) + kHugeBytes - 1) / kHugeBytes * kHugeBytes;
  auto* const run = reinterpret_cast<volatile char*>(first);
  const bool advised = ::madvise(reinterpret_cast<void*>(first), kHugeBytes, MADV_HUGEPAGE) == 0;
  const int error = errno;
  run[kPageBytes] = 1;
  const bool huge = all_or_none_is_huge(::getpid(), first).value_or(true);
  ::munmap(at, kRoom);
  if (!advised) return no("MADV_HUGEPAGE: " + in_words(error));
  return huge ? yes("works") : no("no huge page comes where one could lie");
}

/// Merges two pages of this process.
Offer try_ksm() {
  if (!exists("/sys/kernel/mm/ksm/run")) return no("not in this kernel");
  KernelWork work;
  if (std::string problem = work.open({.merging = true}); !problem.empty()) return no(problem);
  const OwnPage one;
  const OwnPage other;
  for (const OwnPage* page : {&one, &other}) {
    // Contents that no page of another program has.
    page->word()[1] = static_cast<std::int64_t>(one.address()) ^ ::getpid();
    if (!page->advise(Advice::kMergeable)) return no("MADV_MERGEABLE: " + in_words(errno));
  }
  const pid_t self = ::getpid();
  const Errno merged = work.same_pages().merge({self, one.address()}, {self, other.address()}, 5 * kPatience);
  return merged == Errno{0} ? yes("works") : no("two pages that hold the same are not merged");
}

/// Has a page of this process leave memory and come back.
Offer try_swap() {
  KernelWork work;
  if (std::string problem = work.open({.swap = true}); !problem.empty()) return no(problem);
  const OwnPage page;
  bool out = false;
  // A page that is new may still lie on another processor's list.
  for (unsigned tries = 0; tries < 20 && !out; ++tries) {
    if (!page.advise(Advice::kPageOut)) return no("MADV_PAGEOUT: " + in_words(errno));
    out = (page.entry() & kSwapped) != 0;
    if (!out) ::usleep(1000);
  }
  if (!out) return no("MADV_PAGEOUT leaves the page where it is: " + work.swap().found());
  return *page.word() == 1 ? yes(work.swap().found()) : no("what came from swap is not what went there");
}

Offer works_unless(std::string problem) { return problem.empty() ? yes("works") : no(std::move(problem)); }

Offer try_page_scan() {
  const OwnPage page;
  const bool here = PageFacts(::getpid()).categories_at(page.address()).value_or(0) != 0;
  return here ? yes("works") : no("/proc/self/pagemap cannot be scanned");
}

Offer try_disk() {
  KernelWork work;
  if (std::string problem = work.open({.disk = true}); !problem.empty()) return no(problem);
  const std::string problem = try_disk_file(work.disk());
  return problem.empty() ? yes("works") : no(problem);
}

Offer try_cache_facts() {
  litmus::Program program;
  program.files.emplace_back();
  const SmallDisk none;
  Files files;
  if (std::string problem = files.open(program, none); !problem.empty()) return no(problem);
  const Reply asked = files.is_busy(0, 0);
  return asked.error == 0 ? yes("works") : no(in_words(asked.error));
}

Offer try_cold_pages() {
  const OwnPage page;
  return page.advise(Advice::kCold) && page.advise(Advice::kFree) ? yes("works") : no(in_words(errno));
}

Offer try_secret() {
  const int file = static_cast<int>(::syscall(kMemfdSecret, O_CLOEXEC));
  if (file < 0) return no(in_words(errno));
  const bool sized = ::ftruncate(file, kPageBytes) == 0;
  void* const at = sized ? ::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) : MAP_FAILED;
  const int error = errno;
  ::close(file);
  if (at == MAP_FAILED) return no(in_words(error));
  ::munmap(at, kPageBytes);
  return yes("works");
}

/// A page is its owner's alone until a child has it too.
Offer try_exclusive_mark() {
  const OwnPage page;
  const std::uint64_t entry = page.entry();
  const std::uint64_t frame = entry & kFrameBits;
  if ((entry & kPresent) == 0 || frame == 0) return no("frame numbers are hidden");
  if (!is_exclusive(frame)) return no("/proc/kpageflags does not show it");
  const pid_t child = ::_Fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  if (child < 0) return no("no process: " + in_words(errno));
  const bool still = is_exclusive(frame);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  return still ? no("/proc/kpageflags shows something else in its place") : yes("works");
}

/// A page that is missing, and comes when this program brings it.
Offer try_filling() {
  constexpr std::uint64_t kNoEvents = 0;
  void* const at = ::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return no(in_words(errno));
  const auto address = reinterpret_cast<std::uint64_t>(at);
  const int file = open_userfault(kNoEvents);
  Reply done{0, errno};
  if (file >= 0) done = register_memory(file, address, kPageBytes, UffdFlags::kMissing);
  if (file >= 0 && done.error == 0) done = fill_with_value(file, address, kPageBytes, 5);
  const bool there = done.error == 0 && *static_cast<volatile std::int64_t*>(at) == 5;
  if (file >= 0) ::close(file);
  ::munmap(at, kPageBytes);
  if (done.error != 0) return no(in_words(done.error));
  return there ? yes("works") : no("what was put there is not what is read");
}

void look_at_userfault(Offers& offers) {
  const UserfaultOffer found = try_userfault();
  const auto set = [&](Need need, bool here, std::string why_not) {
    if (!found.problem.empty()) why_not = found.problem;
    offers[static_cast<std::size_t>(need)] = here && found.problem.empty() ? yes("works") : no(std::move(why_not));
  };
  const auto has_feature = [&](std::uint64_t feature) { return (found.features & feature) != 0; };
  constexpr const char* kNotHere = "not in this kernel";
  // Before, no process gives another one its files.
  offers[static_cast<std::size_t>(Need::kUserfaultfd)] = since(5, 6).here ? try_filling() : since(5, 6);
  set(Need::kUserfaultKernel, found.kernel_faults, "not for this user");
  set(Need::kUserfaultEvents, found.event_problem.empty(), found.event_problem);
  const Offer shows = since(5, 13);
  set(Need::kUserfaultWp, has_feature(kWpFeature) && shows.here, has_feature(kWpFeature) ? shows.found : kNotHere);
  set(Need::kUserfaultMinor, has_feature(kMinorFeature), kNotHere);
  set(Need::kUserfaultMove, has_feature(kMoveFeature), kNotHere);
  set(Need::kUserfaultPoison, has_feature(kPoisonFeature), kNotHere);
  set(Need::kUserfaultAsync, has_feature(kAsyncFeature), kNotHere);
  set(Need::kUserfaultUnpopulated, has_feature(kUnpopulatedFeature), kNotHere);
  set(Need::kUserfaultWpFile, has_feature(kWpFileFeature), kNotHere);
}

Offer look_at_rdma() {
  if (!since(5, 6).here) return no("registrations are ordinary references here: " + kernel_release());
  KernelWork work;
  if (std::string problem = work.open({.rdma = true}); !problem.empty()) return no(problem);
  const std::string problem = try_rdma();
  return problem.empty() ? yes(work.soft_roce().found()) : no(problem);
}

Offer look_at_copy_on_fork() {
  const std::optional<bool> says = says_copy_on_fork();
  if (!says) return no("no RDMA in this kernel");
  return *says ? yes("fork copies what is registered, it says") : no("this kernel does not say so");
}

Offer look_at_card() {
  CardOffer card = try_card();
  return {card.here, std::move(card.found)};
}

}  // namespace

const NeedInfo& describe(Need need) { return kInfos[static_cast<std::size_t>(need)]; }

Offers probe() {
  Offers offers;
  const auto set = [&offers](Need need, Offer offer) { offers[static_cast<std::size_t>(need)] = std::move(offer); };
  set(Need::kIoUring, try_device(Way::kRing));
  set(Need::kVmsplice, try_device(Way::kPipe));
  set(Need::kProcMem, try_proc_mem());
  set(Need::kProcessVm, try_process_vm());
  set(Need::kClearRefs, try_clear_refs());
  set(Need::kPopulate, try_populate());
  set(Need::kPageFrames, try_page_frames());
  set(Need::kPageCounts, try_page_counts());
  set(Need::kExclusiveMark, try_exclusive_mark());
  set(Need::kGupTest, try_device(Way::kGupTest));
  set(Need::kFailNth, try_file("/proc/self/fail-nth", O_RDWR));
  set(Need::kHugePages, try_huge_pages());
  set(Need::kHugetlb, works_unless(HugePool::try_out()));
  set(Need::kKsm, try_ksm());
  set(Need::kKsmZero, try_file("/sys/kernel/mm/ksm/use_zero_pages", O_WRONLY));
  set(Need::kSwap, try_swap());
  set(Need::kColdPages, try_cold_pages());
  set(Need::kSecret, try_secret());
  look_at_userfault(offers);
  set(Need::kHeldCopy, try_held_copy());
  set(Need::kDirectIo, try_device(Way::kDirectWrite));
  set(Need::kDirectPins, since(6, 5));
  set(Need::kDisk, try_disk());
  set(Need::kDiskPins, since(5, 18));
  set(Need::kCacheFacts, try_cache_facts());
  set(Need::kOtherNode, works_unless(try_other_node()));
  set(Need::kPoison, works_unless(try_poison()));
  set(Need::kCollapse, since(6, 1));
  set(Need::kPageScan, try_page_scan());
  set(Need::kRdma, look_at_rdma());
  set(Need::kRdmaReads, since(6, 2));
  set(Need::kCopyOnFork, look_at_copy_on_fork());
  set(Need::kCuda, look_at_card());
  return offers;
}

std::string kernel_release() {
  utsname name{};
  return ::uname(&name) == 0 ? name.release : "unknown";
}

}  // namespace cowherd::live
