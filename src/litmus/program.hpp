#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cowherd/flags.hpp"

namespace cowherd::litmus {

// What the text of a test means, resolved: names are indices, flags are flags. The explorer, the generator, the
// minimiser and the printer share it; parse(print(program)) == program.

inline constexpr std::size_t kMaxBlocks = 8;
inline constexpr std::size_t kMaxRegisters = 16;
inline constexpr std::size_t kMaxDevices = 8;
inline constexpr std::size_t kMaxVariables = 8;
/// Pages over all variables of a test.
inline constexpr std::size_t kMaxPages = 16;
inline constexpr std::size_t kMaxFiles = 4;
/// Words of a page that a test can name: x.0 … x.3.
inline constexpr std::size_t kWordsPerPage = 4;
inline constexpr std::size_t kMaxOperations = 64;
inline constexpr std::size_t kMaxFileBytes = 64 * 1024;
inline constexpr std::size_t kMaxNesting = 32;
/// Pages of a huge page, as tests count them.
inline constexpr std::uint32_t kHugePages = 4;
/// The most pages of the hugetlb pool that a test may ask for.
inline constexpr std::uint32_t kMaxHugetlbPages = 16;
/// The most frames of movable memory that a test may ask for.
inline constexpr std::uint32_t kMaxMovableFrames = 64;
/// The most references that one get or pin statement takes to each page (its `times N`).
inline constexpr std::uint32_t kMaxTimes = 1u << 21;

/// A place in the text, counted from one; zero where there is no text.
struct Position {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

enum class VariableKind : std::uint8_t {
  /// `x = anon;` mapped, never touched.
  kAnon,
  /// `x = anon(v);` mapped, every page written once: word 0 holds v.
  kAnonValue,
  /// `x = zeropage;` mapped and read once, so that the zero page backs it.
  kZeroPage,
  /// `x = unmapped;` addresses are set aside, nothing is mapped.
  kUnmapped,
  /// `x = secret(v);` as kAnonValue, in memory to which nobody takes references.
  kSecret,
  /// `x = thp;` as kAnon, in memory of MADV_HUGEPAGE, where a huge page could lie.
  kThp,
  /// `x = thp(v);` the same, written like kAnonValue.
  kThpValue,
  /// `x = f private;` `x = f[1] shared;` pages of a file are mapped, and never touched.
  kFile,
  /// `x = hugetlb;` as kAnon, of whole pages of the hugetlb pool.
  kHugetlb,
  /// `x = hugetlb(v);` the same, written like kAnonValue.
  kHugetlbValue,
  /// As kFile, of a file of hugetlb pages.
  kHugetlbFile,
};

/// Whether the variable is of the hugetlb pool.
constexpr bool is_hugetlb(VariableKind kind) {
  return kind == VariableKind::kHugetlb || kind == VariableKind::kHugetlbValue || kind == VariableKind::kHugetlbFile;
}
/// Whether pages of a file with a name are mapped.
constexpr bool maps_file(VariableKind kind) {
  return kind == VariableKind::kFile || kind == VariableKind::kHugetlbFile;
}
/// Whether it is of as many pages as a huge page has, unless told otherwise.
constexpr bool is_huge(VariableKind kind) {
  return kind == VariableKind::kThp || kind == VariableKind::kThpValue || is_hugetlb(kind);
}
/// Whether every page of it is written once before the test begins.
constexpr bool is_written(VariableKind kind) {
  return kind == VariableKind::kAnonValue || kind == VariableKind::kSecret || kind == VariableKind::kThpValue ||
         kind == VariableKind::kHugetlbValue;
}

enum class FileKind : std::uint8_t {
  /// `f = memfd(v);` in memory alone.
  kMemfd,
  /// `f = file(v);` on a disk.
  kDisk,
  /// `f = hugetlbfs;` of pages of the hugetlb pool, none of which is there; `f = hugetlbfs(v);` all are.
  kHugetlb,
};

/// A file that every process can map, read and write.
struct FileVariable {
  std::string name;
  FileKind kind = FileKind::kMemfd;
  /// That it has at first, and the most that it can have.
  std::uint32_t pages = 1;
  /// Word 0 of every page.
  std::int64_t value = 0;

  [[nodiscard]] bool is_hugetlb() const { return kind == FileKind::kHugetlb; }
  bool operator==(const FileVariable&) const = default;
};

/// A run of pages with a name, at the same addresses in every process that has it.
struct Variable {
  std::string name;
  VariableKind kind = VariableKind::kAnon;
  std::uint32_t pages = 1;
  std::int64_t value = 0;
  Protection protection = Protection::kReadWrite;
  /// Mapped with MAP_SHARED: `x = anon shared;` `x = f shared;`
  bool shared = false;
  /// Of the hugetlb pool without a reservation: `x = hugetlb noreserve;`
  bool noreserve = false;
  /// For kFile and kHugetlbFile: which, and from which of its pages on.
  std::uint8_t file = 0;
  std::uint8_t file_page = 0;
  /// Number of the variable's first page; the pages of all variables are numbered in order of declaration.
  std::uint32_t first_page = 0;

  bool operator==(const Variable&) const = default;
};

enum class BlockKind : std::uint8_t { kProcess, kDevice, kKernel };
/// How a block comes to run.
enum class BlockStart : std::uint8_t { kAtTimeZero, kFork, kVfork, kThread };

enum class OpCode : std::uint8_t {
  kRead,           // r = READ_ONCE(x.k)
  kWrite,          // WRITE_ONCE(x.k, v)
  kMmap,           // mmap(x, PROT, FLAGS)
  kMunmap,         // munmap(x)
  kMprotect,       // mprotect(x, PROT)
  kMadvise,        // madvise(x, MADV_…)
  kFork,           // fork(P1)
  kVfork,          // vfork(P1)
  kThread,         // thread(P1)
  kExec,           // exec()
  kExit,           // exit()
  kWait,           // wait(P1)
  kPin,            // pin(d, x, FLAGS) times N; get() is the same with PinFlags::kGet
  kUnpin,          // unpin(d); put(d) is the same for a get
  kUnpinDirty,     // unpin_dirty(d)
  kDmaRead,        // r = dma_read(d.k)
  kDmaWrite,       // dma_write(d.k, v)
  kPtraceRead,     // r = ptrace_read(P1:x.k)
  kPtraceWrite,    // ptrace_write(P1:x.k, v)
  kLockPage,       // lock_page(P0:x): another part of the kernel holds the page lock
  kUnlockPage,     // unlock_page(P0:x)
  kClearRefs,      // clear_refs(P0:x): a round of soft-dirty tracking begins
  kTryShare,       // try_share(P0:x): the kernel takes the exclusive mark from the page
  kSnapshot,       // snapshot(S0): the own memory as it is now, to come back to
  kRestore,        // restore(S0): the own memory becomes what it was then
  kMremap,         // mremap(x, y, FLAGS): the pages of x go to y
  kFileRead,       // r = read(f.k)
  kFileWrite,      // write(f.k, v)
  kTruncate,       // truncate(f, n): the file has n pages from now on
  kPunch,          // punch(f[k]): pages of the file become zeros
  kWriteback,      // writeback(f): what is dirty goes to the disk; fsync(f) is the same with PinFlags::kGet
  kDropCache,      // drop_cache(f): what is clean and idle leaves the cache
  kNumaHint,       // numa_hint(P0:x): entries let no access through, to find out who uses the pages
  kMsync,          // msync(x): what was written to files through x is on their disks
  kMlock,          // mlock(x)
  kMunlock,        // munlock(x)
  kKsmMerge,       // ksm_merge(P0:x, P1:y): one page for both, if they hold the same
  kKsmZero,        // ksm_zero(P0:x): the zero page in place of one that holds zeros
  kKsmUnmerge,     // ksm_unmerge(P0:x): a page of its own again for each that was merged
  kSwapOut,        // swapout(P0:x): reclaim takes the page
  kSwapIn,         // swapin(P0:x): the page comes back from swap
  kMigrate,        // migrate(P0:x): the page goes to another frame
  kCollapse,       // collapse(P0:x): a huge page takes the place of the pages around x
  kSplit,          // split(P0:x): the huge page there is mapped page by page
  kPoison,         // poison(P0:x): the memory of the page fails
  kMakeExclusive,  // make_exclusive(P0:x): a device gets the page for itself
  kDeviceRead,     // r = device_read(P0:x.k): a device accesses a page that it has for itself
  kDeviceWrite,    // device_write(P0:x.k, v)
  kDeviceAdd,      // device_add(P0:x.k, v): it reads the word and writes what is v more
  kCompact,        // compact(): pages go to lower frames
  kOffline,        // offline(): the memory that holds only what can be moved is taken out
  // Userfaultfd, and what its handler does:
  kUffdRegister,    // uffd_register(x, UFFD_…): the handler decides such faults there
  kUffdUnregister,  // uffd_unregister(x)
  kUffdCopy,        // uffd_copy(P0:x.k, v): a page that holds v in one word is put where none is
  kUffdZeropage,    // uffd_zeropage(P0:x): a page of zeros is
  kUffdContinue,    // uffd_continue(P0:x): the page that the file has may be mapped
  kUffdWp,          // uffd_wp(P0:x): whoever writes the page waits
  kUffdUnwp,        // uffd_unwp(P0:x): and no more
  kUffdMove,        // uffd_move(x, y): the page at y goes to x, where none is
  kUffdPoison,      // uffd_poison(P0:x): nobody gets a page there
  kUffdRead,        // r = uffd_read(P0): what the handler is told, by somebody who waits until then
};

constexpr bool starts_block(OpCode code) {
  return code == OpCode::kFork || code == OpCode::kVfork || code == OpCode::kThread;
}

/// A value to store: a number, or what a register of the same block holds.
struct Operand {
  bool is_register = false;
  std::int64_t literal = 0;
  std::uint8_t reg = 0;

  bool operator==(const Operand&) const = default;
};

/// A word, a page or a run of pages of a variable.
struct Place {
  std::uint8_t variable = 0;
  /// First page, counted within the variable.
  std::uint8_t page = 0;
  /// Number of pages; operations on words use the first.
  std::uint8_t pages = 1;
  std::uint8_t word = 0;

  bool operator==(const Place&) const = default;
};

struct Operation {
  OpCode code = OpCode::kRead;
  /// The register that receives the result, if any.
  std::optional<std::uint8_t> result;
  /// The block that fork, vfork, thread and wait name.
  std::uint8_t block = 0;
  /// The process whose memory is meant (as a block number), where it is not the own one: pin, get, ptrace_*, lock_page,
  /// clear_refs, try_share, swapout, swapin, collapse, split; for uffd_read always.
  std::optional<std::uint8_t> target;
  /// ksm_merge: whose memory `to` is in, where it is not the own one.
  std::optional<std::uint8_t> to_target;
  std::uint8_t device = 0;
  /// The snapshot that is taken or restored, by its number: S0, S1, …
  std::uint8_t snapshot = 0;
  /// For operations on a file.
  std::uint8_t file = 0;
  /// For devices: `page` and `word` within what the device holds; for files: within the file, and `page` its new size
  /// for truncate.
  Place place;
  /// mremap: where the pages go. ksm_merge: the second page. uffd_move: where the page comes from.
  Place to;
  Operand value;
  Protection protection = Protection::kReadWrite;
  MapFlags map_flags = MapFlags::kNone;
  RemapFlags remap_flags = RemapFlags::kNone;
  Advice advice = Advice::kDontNeed;
  PinFlags pin_flags = PinFlags::kNone;
  UffdFlags uffd = UffdFlags::kNone;
  std::uint32_t times = 1;
  /// Make the n-th allocation inside this operation fail; 0: none.
  std::uint32_t fail_nth = 0;
  /// Make at most one allocation inside this operation fail, any of them: each is a choice, and every run is explored.
  bool fail_any = false;
  Position position;

  bool operator==(const Operation& other) const;
};

struct Block {
  std::string name;
  BlockKind kind = BlockKind::kProcess;
  BlockStart start = BlockStart::kAtTimeZero;
  /// The block that starts this one, where it is not kAtTimeZero.
  std::uint8_t starter = 0;
  std::vector<Operation> operations;
  /// Names of the registers, indexed by register number.
  std::vector<std::string> registers;

  bool operator==(const Block&) const = default;
};

// Conditions over the end of a run.

/// One side of a comparison.
struct Term {
  enum class Kind : std::uint8_t {
    kLiteral,
    /// 0:r0 — a register; kind of what a run can observe.
    kRegister,
    /// 0:x.k — the word as the block's process would read it; SIGSEGV where it cannot.
    kMemory,
    /// fault(P0) — how many accesses of the block ended in SIGSEGV or SIGBUS.
    kFaults,
    /// f.k — the word as read() would give it.
    kFileWord,
    /// finding(NAME) — 1 if the run broke that invariant or clause; `label` names it.
    kFinding,
    // Internal state, which a running kernel does not show:
    /// frame(0:x) — number of the frame mapped there; -1 where none is.
    kFrame,
    kRefcount,
    kMapcount,
    kPins,
    kExclusive,
    kWritable,
    kDirty,
    /// softdirty(0:x) — written since the last clear_refs, or new; -1 where nothing is mapped at all.
    kSoftDirty,
    /// rss(P0) — pages that the process has.
    kRss,
    /// disk(f.k) — the word as the disk has it.
    kDiskWord,
    /// swapped(0:x) — 1 if the page is in swap: the entry names a slot, or the file that it shows does.
    kSwapped,
    /// swapcount(0:x) — how many entries name the slot of the page, in swap or in the swap cache, a file counting once;
    /// -1 where it has none.
    kSwapCount,
    /// swapcache(0:x) — 1 if the page is in the swap cache.
    kSwapCache,
    /// huge(0:x) — 1 if a huge entry maps the page.
    kHuge,
    /// folio(0:x) — pages of the folio that the page is part of: 1 of a small one; -1 where nothing is mapped.
    kFolio,
    /// uffdwp(0:x) — 1 if the entry is write-protected by userfaultfd.
    kUffdWp,
    /// waiting(P0) — 1 if the block waits for a handler, or for who does, and nobody is left who could end that; of
    /// what a run can observe.
    kWaiting,
    /// ondevice(0:x) — 1 if a device has the page for itself.
    kOnDevice,
    /// movable(0:x) — 1 if the page lies in memory that holds only what can be moved.
    kMovable,
    /// pool(free), pool(reserved) — hugetlb pages that are free, and that are promised; `label` is the word.
    kPool,
  };
  Kind kind = Kind::kLiteral;
  std::int64_t literal = 0;
  std::uint8_t block = 0;
  std::uint8_t reg = 0;
  Place place;
  std::uint8_t file = 0;
  std::string label;

  bool operator==(const Term&) const = default;
};

struct Condition {
  enum class Kind : std::uint8_t { kTrue, kCompare, kNot, kAnd, kOr };
  enum class Compare : std::uint8_t { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual };
  Kind kind = Kind::kTrue;
  Compare compare = Compare::kEqual;
  Term left;
  Term right;
  std::vector<Condition> children;

  bool operator==(const Condition&) const = default;
};

enum class Quantifier : std::uint8_t { kNone, kExists, kNotExists, kForall };

enum class Verdict : std::uint8_t { kNever, kSometimes, kAlways };

/// One statement of the `Rules:` line: which verdict published sources give for which rule sets.
struct Expectation {
  Verdict verdict = Verdict::kNever;
  /// A rule set's name, with or without changes to it, or a range of Linux versions: "linux-5.9",
  /// "linux-5.9,reuse=exclusive", "linux-5.9..", "..linux-5.8", "A..B".
  std::string rules;

  bool operator==(const Expectation&) const = default;
};

/// How finely the operations of different blocks are interleaved.
enum class Grain : std::uint8_t {
  /// Each operation is one step.
  kOperation,
  /// Each access inside an operation to what another agent may touch is a step.
  kStep,
};

struct Program {
  std::string name;
  std::string doc;
  std::optional<Verdict> result;
  std::vector<Expectation> expectations;
  /// At which the verdicts above hold, and at which the test is run unless told otherwise.
  Grain grain = Grain::kOperation;
  /// Free text of `(* Source: … *)` and `(* Remark: … *)`.
  std::string source;
  std::string remark;
  std::vector<FileVariable> files;
  std::vector<Variable> variables;
  /// `hugepages = N;` the pages of the hugetlb pool; enough for all where it does not say.
  std::optional<std::uint8_t> hugepages;
  /// `folios = N;` a first write in memory of MADV_HUGEPAGE gets a large folio of up to so many pages, which small
  /// entries map; without it a huge page. A power of two, 2 to kHugePages.
  std::optional<std::uint8_t> folios;
  /// `movable = N;` frames that hold only what can be moved; none where it does not say. User pages lie there as long
  /// as there is room.
  std::optional<std::uint8_t> movable;
  std::vector<std::string> devices;
  std::vector<Block> blocks;
  std::optional<Condition> filter;
  std::vector<Term> locations;
  Quantifier quantifier = Quantifier::kNone;
  Condition condition;

  bool operator==(const Program&) const = default;

  [[nodiscard]] std::uint32_t page_count() const;
  /// Snapshots that its statements name: up to the highest number.
  [[nodiscard]] std::size_t snapshot_count() const;
  [[nodiscard]] std::size_t operation_count() const;
  /// Pages of the hugetlb pool: where the test does not say, as many as anybody could want at once; 0 where nothing is
  /// of it.
  [[nodiscard]] std::uint32_t pool_pages() const;
};

}  // namespace cowherd::litmus
