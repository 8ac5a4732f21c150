#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "litmus/program.hpp"

namespace cowherd::litmus {

/// The alphabet of enumerate_programs(), on one page x = anon(1):
///   W  WRITE_ONCE(*x, v)                          R  r = READ_ONCE(*x)
///   P  pin(d, x, FOLL_WRITE | FOLL_LONGTERM)      p  pin(d, x, FOLL_LONGTERM)
///   G  get(d, x, FOLL_WRITE)                      U  unpin(d) or put(d)
///   D  dma_write(d, v)                            d  r = dma_read(d)
///   F  fork(P1)      X  exit()      E  exec()     M  madvise(x, MADV_DONTNEED)
///   C  clear_refs(x)
inline constexpr std::string_view kEnumeratedAlphabet = "WRPGpUDdFXEMC";

/// Hands every program of 1 to `max_operations` operations over that alphabet to `callback`, shorter ones first, until
/// the callback returns false; returns how many it was handed.
///
/// One parent, which may fork one child; operations before F, and those after it, are the parent's. Each of the two has
/// a device of its own and at most one reference in it. Stored values are 1, 2, 3, ... in the order of the text. Left
/// out is what a shorter program shows as well: U, D and d without a reference, D through a reference for reading,
/// memory accesses after exec, anything after exit. Every program lists the memory at the end (locations), and is
/// called by its letters: "WPFD+R".
std::uint64_t enumerate_programs(std::size_t max_operations, const std::function<bool(const Program&)>& callback);

/// The program that one such name stands for: the parent's letters, then, if they contain F, + and the child's.
/// Precondition: enumerate_programs() hands out a program of that name.
Program spell_program(std::string_view letters);

}  // namespace cowherd::litmus
