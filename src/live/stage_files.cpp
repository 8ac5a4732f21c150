#include <sys/mman.h>

#include "live/host.hpp"
#include "live/spelling.hpp"
#include "live/stage.hpp"

// What a test does with files.

namespace cowherd::live {

using litmus::OpCode;
using litmus::Operation;

void Stage::say_backing(Request& request, const litmus::Place& place) const {
  const litmus::Variable& variable = program_->variables[place.variable];
  if (variable.shared) request.second = (request.second & ~MAP_PRIVATE) | MAP_SHARED;
  if (litmus::is_hugetlb(variable.kind)) request.second |= kHugetlbMapFlags;
  if (variable.noreserve) request.second |= MAP_NORESERVE;
  if (!litmus::maps_file(variable.kind)) return;
  request.second &= ~MAP_ANONYMOUS;
  request.file = files_.descriptor(variable.file);
  const std::uint64_t page = variable.file_page + std::uint64_t{place.page};
  request.value = static_cast<std::int64_t>(page * files_.page_bytes(variable.file));
}

Answer Stage::on_file(std::uint8_t block, const Operation& op, std::int64_t value) {
  if (op.code == OpCode::kWriteback) return answer_of(files_.write_back(op.file));
  if (op.code == OpCode::kDropCache) return answer_of(files_.drop_clean(op.file));
  Request request;
  request.file = files_.descriptor(op.file);
  request.value = value;
  const std::uint64_t page_bytes = files_.page_bytes(op.file);
  request.address = op.place.page * page_bytes + op.place.word * sizeof(std::int64_t);
  request.length = op.place.pages * page_bytes;
  switch (op.code) {
    case OpCode::kFileRead:
      request.ask = Ask::kReadFile;
      break;
    case OpCode::kFileWrite:
      request.ask = Ask::kWriteFile;
      break;
    case OpCode::kPunch:
      request.ask = Ask::kPunch;
      break;
    default:
      request.ask = Ask::kTruncate;
      request.length = op.place.page * page_bytes;
  }
  return ask(block, request);
}

Answer Stage::end_all() {
  clear();
  for (std::uint8_t file = 0; file < program_->files.size(); ++file) {
    const Reply written = files_.write_back(file);
    if (written.error != 0) return {Errno{0}, 0, program_->files[file].name + ": " + in_words(written.error)};
  }
  return {};
}

}  // namespace cowherd::live
