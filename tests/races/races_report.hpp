#pragma once

#include <string>

#include "check/races.hpp"
#include "check/scene.hpp"
#include "frame/descriptor.hpp"

namespace cowherd::races {

/// The race in four lines: where in the machine, and of each access who, in which operation, behind which point, and
/// the place in the source.
std::string describe(const check::Race& race, const check::Scene& scene, std::size_t ram_offset,
                     std::size_t descriptor_offset);

/// "src/area/vma_tree.cpp:85 cowherd::VmaTree::set_end(…)"; the bare address where no symbols tell.
std::string place_in_source(const void* site);

}  // namespace cowherd::races
