#include <fmt/format.h>

#include "check/world.hpp"
#include "mm/page.hpp"

namespace cowherd::check {

// What the init block says.

std::string World::build_file(std::uint8_t number) {
  const litmus::FileVariable& file = scene_->program().files[number];
  const auto kind = file.kind == litmus::FileKind::kDisk ? mm::FileKind::kDisk
                    : file.is_hugetlb()                  ? mm::FileKind::kHugetlb
                                                         : mm::FileKind::kMemory;
  auto made = mm::create_file(*system_, kind, PageCount{file.pages});
  bool right = made.ok();
  if (right) {
    files_[number] = *made;
    reference.create_file(number, static_cast<std::uint8_t>(file.pages), store_of(file.kind), file.value);
  }
  const std::span bytes = std::as_bytes(std::span(&file.value, 1));
  if (right && file.value != 0 && file.is_hugetlb()) right = fill_by_mapping(*made, PageCount{file.pages}, bytes);
  for (std::uint8_t page = 0; right && file.value != 0 && !file.is_hugetlb() && page < file.pages; ++page) {
    right = mm::write_file(*system_, *made, ByteCount{page * Geometry<G>::kPageBytes}, bytes).error == Errno{0};
  }
  return right ? std::string() : fmt::format("the init block cannot be built: {}", file.name);
}

bool World::fill_by_mapping(mm::FileId file, PageCount pages, std::span<const std::byte> bytes) {
  auto process = mm::spawn(*system_);
  if (!process) return false;
  const ByteCount length{pages.value() * Geometry<G>::kPageBytes};
  const MapFlags flags = MapFlags::kShared | MapFlags::kHugetlb | MapFlags::kNoReserve;
  auto mapped = mm::mmap(*system_, *process, Vaddr{0}, length, Protection::kReadWrite, flags, {file, PageCount{0}});
  bool right = mapped.ok();
  for (std::uint64_t at = 0; right && at < length.value(); at += Geometry<G>::kPageBytes) {
    right = mm::write<G>(*system_, *process, *mapped + ByteCount{at}, bytes).error == Errno{0};
  }
  return mm::exit(*system_, *process).ok() && right;
}

mm::Backing World::backing_of(const litmus::Place& place) const {
  const litmus::Variable& variable = scene_->program().variables[place.variable];
  if (!litmus::maps_file(variable.kind)) return {};
  return {files_[variable.file], PageCount{variable.file_page + std::uint64_t{place.page}}};
}

std::string World::build() {
  const litmus::Program& program = scene_->program();
  for (std::uint8_t file = 0; file < scene_->files(); ++file) {
    if (auto error = build_file(file); !error.empty()) return error;
  }
  for (std::uint8_t b = 0; b < scene_->blocks(); ++b) {
    const litmus::Block& block = scene_->block(b);
    if (block.start != litmus::BlockStart::kAtTimeZero) continue;
    control.agents[b].phase = Phase::kRunning;
    if (block.kind != litmus::BlockKind::kProcess) continue;
    auto process = mm::spawn(*system_);
    if (!process) return fmt::format("{}: no memory for the process", block.name);
    control.processes[b] = {*process, Life::kAlive, false, 0};
    reference.spawn(b);
    note_new_space(b);
    for (std::size_t variable = 0; variable < program.variables.size(); ++variable) {
      if (auto error = build_variable(b, static_cast<std::uint8_t>(variable)); !error.empty()) return error;
    }
  }
  settle();
  return {};
}

std::string World::build_variable(std::uint8_t process, std::uint8_t number) {
  using litmus::VariableKind;
  const litmus::Variable& variable = scene_->program().variables[number];
  const litmus::Place all{.variable = number, .pages = static_cast<std::uint8_t>(variable.pages)};
  if (variable.kind == VariableKind::kUnmapped) return {};
  const ProcessControl& owner = control.processes[process];
  const auto first = static_cast<std::uint8_t>(variable.first_page);
  const auto count = static_cast<std::uint8_t>(variable.pages);
  const Vaddr address = scene_->address_of_page(first);
  const ByteCount length{count * Geometry<G>::kPageBytes};
  Call call{.kind = Call::Kind::kMmap, .process = process, .page = first, .count = count};
  call.protection = Protection::kReadWrite;
  call.map_flags = scene_->map_flags_of(all, MapFlags::kFixed);
  if (variable.kind == VariableKind::kSecret) call.map_flags = call.map_flags | MapFlags::kSecret;
  call.backing = scene_->backing_of(all);
  const auto in_reference = [&](std::int64_t seen) { return reference.run(process, call, {.value = seen}).ok(); };

  bool right = mm::mmap(*system_, owner.id, address, length, call.protection, call.map_flags, backing_of(all)).ok() &&
               in_reference(0);
  if (variable.kind == VariableKind::kThp || variable.kind == VariableKind::kThpValue) {
    right = right && mm::madvise(*system_, owner.id, address, length, Advice::kHugePage).ok();
  }
  for (std::uint8_t page = first; right && page < first + count; ++page) {
    std::int64_t word = variable.value;
    const std::span bytes = std::as_writable_bytes(std::span(&word, 1));
    call = {.kind = Call::Kind::kWrite, .process = process, .page = page, .value = variable.value};
    if (litmus::is_written(variable.kind)) {
      right =
          mm::write<G>(*system_, owner.id, scene_->address_of_page(page), bytes).error == Errno{0} && in_reference(0);
    } else if (variable.kind == VariableKind::kZeroPage) {
      call.kind = Call::Kind::kRead;
      right =
          mm::read<G>(*system_, owner.id, scene_->address_of_page(page), bytes).error == Errno{0} && in_reference(word);
    }
  }
  if (right && variable.protection != Protection::kReadWrite) {
    call = {.kind = Call::Kind::kMprotect, .process = process, .page = first, .count = count};
    call.protection = variable.protection;
    right = mm::mprotect(*system_, owner.id, address, length, variable.protection).ok() && in_reference(0);
  }
  if (right) return {};
  return fmt::format("{}: the init block cannot be built: {}", scene_->block(process).name, variable.name);
}

}  // namespace cowherd::check
