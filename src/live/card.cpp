#include "live/card.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string_view>

#include "live/host.hpp"

namespace cowherd::live {
namespace {

// As the driver's interface has them; its header is not needed.
using Result = int;
using Address = unsigned long long;

constexpr int kMajor = 75;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
constexpr int kMinor = 76;
constexpr unsigned kForDevices = 0x02;  // CU_MEMHOSTREGISTER_DEVICEMAP
constexpr unsigned kReadOnly = 0x08;    // CU_MEMHOSTREGISTER_READ_ONLY
constexpr int kPatienceMilliseconds = 60'000;

/// What the card runs: a word to or from an address that it knows, past its caches.
constexpr const char* kPrograms = R"ptx(.version 5.0
.target sm_50
.address_size 64
.visible .entry load_word(.param .u64 from, .param .u64 to)
{
  .reg .b64 %a<4>;
  ld.param.u64 %a1, [from];
  ld.param.u64 %a2, [to];
  ld.volatile.u64 %a3, [%a1];
  st.volatile.u64 [%a2], %a3;
  membar.sys;
  ret;
}
.visible .entry store_word(.param .u64 to, .param .u64 value)
{
  .reg .b64 %a<3>;
  ld.param.u64 %a1, [to];
  ld.param.u64 %a2, [value];
  st.volatile.u64 [%a1], %a2;
  membar.sys;
  ret;
}
)ptx";

/// What is used of libcuda.so.1, by the names that it exports.
struct Driver {
  Result (*init)(unsigned flags) = nullptr;
  Result (*version)(int* version) = nullptr;
  Result (*error_name)(Result code, const char** name) = nullptr;
  Result (*device)(int* device, int number) = nullptr;
  Result (*device_name)(char* name, int bytes, int device) = nullptr;
  Result (*attribute)(int* value, int which, int device) = nullptr;
  Result (*retain)(void** context, int device) = nullptr;
  Result (*use)(void* context) = nullptr;
  Result (*synchronize)() = nullptr;
  Result (*allocate)(Address* at, std::size_t bytes) = nullptr;
  Result (*copy_out)(void* to, Address from, std::size_t bytes) = nullptr;
  Result (*load)(void** module, const void* image) = nullptr;
  Result (*function)(void** function, void* module, const char* name) = nullptr;
  Result (*launch)(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                   unsigned block_y, unsigned block_z, unsigned shared_bytes, void* stream, void** arguments,
                   void** extra) = nullptr;
  Result (*hold)(void* at, std::size_t bytes, unsigned flags) = nullptr;
  Result (*let_go)(void* at) = nullptr;
  Result (*address)(Address* on_card, void* at, unsigned flags) = nullptr;
};

Driver g_driver;

template <class Function>
bool find(void* library, const char* name, Function*& function, std::string& missing) {
  function = reinterpret_cast<Function*>(::dlsym(library, name));
  if (function == nullptr && missing.empty()) missing = name;
  return function != nullptr;
}

/// Empty, or why it is not there.
std::string load_driver() {
  // For good: what it starts in this process does not end before it.
  void* const library = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* const why = ::dlerror();
    return why == nullptr ? "libcuda.so.1 cannot be loaded" : why;
  }
  std::string missing;
  Driver& d = g_driver;
  find(library, "cuInit", d.init, missing);
  find(library, "cuDriverGetVersion", d.version, missing);
  find(library, "cuGetErrorName", d.error_name, missing);
  find(library, "cuDeviceGet", d.device, missing);
  find(library, "cuDeviceGetName", d.device_name, missing);
  find(library, "cuDeviceGetAttribute", d.attribute, missing);
  find(library, "cuDevicePrimaryCtxRetain", d.retain, missing);
  find(library, "cuCtxSetCurrent", d.use, missing);
  find(library, "cuCtxSynchronize", d.synchronize, missing);
  find(library, "cuMemAlloc_v2", d.allocate, missing);
  find(library, "cuMemcpyDtoH_v2", d.copy_out, missing);
  find(library, "cuModuleLoadData", d.load, missing);
  find(library, "cuModuleGetFunction", d.function, missing);
  find(library, "cuLaunchKernel", d.launch, missing);
  find(library, "cuMemHostRegister_v2", d.hold, missing);
  find(library, "cuMemHostUnregister", d.let_go, missing);
  find(library, "cuMemHostGetDevicePointer_v2", d.address, missing);
  return missing.empty() ? missing : "libcuda.so.1 has no " + missing;
}

CardTrouble trouble(const char* call, Result code) {
  if (code == 0) return {};
  const char* name = nullptr;
  if (g_driver.error_name(code, &name) != 0 || name == nullptr) name = "an error without a name";
  return {code, fmt::format("{}: {} ({})", call, name, code)};
}

/// Holds a page of this process, and has the card read and write it. Empty, or what went wrong.
std::string use_a_page(Card& card) {
  if (std::string problem = card.problem(); !problem.empty()) return problem;
  void* const at = ::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return in_words(errno);
  auto* const word = static_cast<volatile std::int64_t*>(at);
  word[1] = 1;
  std::int64_t seen = 0;
  CardTrouble went = card.hold(0, reinterpret_cast<std::uint64_t>(at), kPageBytes, true);
  word[1] = 2;
  if (went.ok()) went = card.read(0, sizeof *word, seen);
  if (went.ok() && seen != 2) return "what the card read is not what was written";
  if (went.ok()) went = card.write(0, sizeof *word, 3);
  if (went.ok() && word[1] != 3) return "what the card wrote is not there";
  if (went.ok()) went = card.release(0);
  return went.words;
}

}  // namespace

Card& Card::of_this_process() {
  static Card card;
  return card;
}

Card::Card() : process_(::getpid()) {
  problem_ = load_driver();
  if (problem_.empty()) problem_ = open().words;
}

std::string Card::problem() const {
  if (!problem_.empty()) return problem_;
  return process_ == ::getpid() ? std::string() : "a child of fork cannot use its parent's card";
}

CardTrouble Card::open() {
  const Driver& d = g_driver;
  if (CardTrouble went = trouble("cuInit", d.init(0)); !went.ok()) return went;
  int device = 0;
  if (CardTrouble went = trouble("cuDeviceGet", d.device(&device, 0)); !went.ok()) return went;
  if (CardTrouble went = trouble("cuDevicePrimaryCtxRetain", d.retain(&context_, device)); !went.ok()) return went;
  if (CardTrouble went = trouble("cuCtxSetCurrent", d.use(context_)); !went.ok()) return went;
  const std::size_t bytes = litmus::kMaxDevices * sizeof(std::int64_t);
  if (CardTrouble went = trouble("cuMemAlloc", d.allocate(&words_, bytes)); !went.ok()) return went;
  std::array<char, 128> name{};
  int version = 0;
  int major = 0;
  int minor = 0;
  d.device_name(name.data(), static_cast<int>(name.size()) - 1, device);
  d.version(&version);
  d.attribute(&major, kMajor, device);
  d.attribute(&minor, kMinor, device);
  found_ = fmt::format("{}, compute capability {}.{}, CUDA {}.{}", name.data(), major, minor, version / 1000,
                       version % 1000 / 10);
  return load_programs();
}

CardTrouble Card::load_programs() {
  const Driver& d = g_driver;
  void* module = nullptr;
  if (CardTrouble went = trouble("cuModuleLoadData", d.load(&module, kPrograms)); !went.ok()) return went;
  if (CardTrouble went = trouble("load_word", d.function(&load_word_, module, "load_word")); !went.ok()) return went;
  return trouble("store_word", d.function(&store_word_, module, "store_word"));
}

CardTrouble Card::hold(std::uint8_t device, std::uint64_t address, std::uint64_t length, bool writes) {
  const Driver& d = g_driver;
  if (CardTrouble went = trouble("cuCtxSetCurrent", d.use(context_)); !went.ok()) return went;
  auto* const at = reinterpret_cast<void*>(address);
  const unsigned flags = writes ? kForDevices : kForDevices | kReadOnly;
  if (CardTrouble went = trouble("cuMemHostRegister", d.hold(at, length, flags)); !went.ok()) return went;
  Held& held = held_[device];
  held.address = address;
  CardTrouble went = trouble("cuMemHostGetDevicePointer", d.address(&held.on_card, at, 0));
  if (!went.ok()) d.let_go(at);
  return went;
}

CardTrouble Card::release(std::uint8_t device) {
  const Driver& d = g_driver;
  if (CardTrouble went = trouble("cuCtxSetCurrent", d.use(context_)); !went.ok()) return went;
  return trouble("cuMemHostUnregister", d.let_go(reinterpret_cast<void*>(held_[device].address)));
}

CardTrouble Card::run(void* program, Address first, Address second) {
  const Driver& d = g_driver;
  if (CardTrouble went = trouble("cuCtxSetCurrent", d.use(context_)); !went.ok()) return went;
  void* arguments[] = {&first, &second};
  const Result launched = d.launch(program, 1, 1, 1, 1, 1, 1, 0, nullptr, arguments, nullptr);
  if (CardTrouble went = trouble("cuLaunchKernel", launched); !went.ok()) return went;
  return trouble("cuCtxSynchronize", d.synchronize());
}

CardTrouble Card::read(std::uint8_t device, std::uint64_t offset, std::int64_t& value) {
  const Address to = words_ + device * sizeof value;
  if (CardTrouble went = run(load_word_, held_[device].on_card + offset, to); !went.ok()) return went;
  return trouble("cuMemcpyDtoH", g_driver.copy_out(&value, to, sizeof value));
}

CardTrouble Card::write(std::uint8_t device, std::uint64_t offset, std::int64_t value) {
  return run(store_word_, held_[device].on_card + offset, static_cast<Address>(value));
}

/// Not in this process: whoever has the card cannot have children that use it.
CardOffer try_card() {
  int line[2];
  if (::pipe(line) != 0) return {false, "no pipe: " + in_words(errno)};
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(line[0]);
    Card& card = Card::of_this_process();
    const std::string problem = use_a_page(card);
    const std::string words = problem.empty() ? "+" + card.found() : "-" + problem;
    const ssize_t told = ::write(line[1], words.data(), words.size());
    ::_exit(told == static_cast<ssize_t>(words.size()) ? 0 : 1);
  }
  ::close(line[1]);
  std::string words;
  std::array<char, 512> part{};
  pollfd more{line[0], POLLIN, 0};
  while (child > 0 && ::poll(&more, 1, kPatienceMilliseconds) > 0) {
    const ssize_t got = ::read(line[0], part.data(), part.size());
    if (got <= 0) break;
    words.append(part.data(), static_cast<std::size_t>(got));
  }
  ::close(line[0]);
  if (child > 0) {
    // It has said all that it had to say, or hangs.
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
  if (words.empty()) return {false, "the process that tried it ended, or did not end in time"};
  return {words[0] == '+', words.substr(1)};
}

}  // namespace cowherd::live
