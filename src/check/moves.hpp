#pragma once

#include <cstdint>

#include "litmus/program.hpp"

namespace cowherd::check {

/// A set of blocks.
using BlockSet = std::uint8_t;
static_assert(litmus::kMaxBlocks <= 8);

constexpr BlockSet bit_of(std::uint8_t block) { return static_cast<BlockSet>(1u << block); }
constexpr bool contains(BlockSet set, std::uint8_t block) { return (set >> block & 1u) != 0; }

/// What a schedule is made of: a block goes on, in one of up to two ways. The first way of a block is its number.
using Move = std::uint8_t;
inline constexpr unsigned kMaxWays = 2;

constexpr Move move_of(std::uint8_t block, unsigned way) {
  return static_cast<Move>(block | way * static_cast<unsigned>(litmus::kMaxBlocks));
}
constexpr std::uint8_t block_of(Move move) { return static_cast<std::uint8_t>(move % litmus::kMaxBlocks); }
constexpr unsigned way_of(Move move) { return static_cast<unsigned>(move / litmus::kMaxBlocks); }

/// A set of moves, bits by move.
using MoveSet = std::uint16_t;
static_assert(litmus::kMaxBlocks * kMaxWays <= 16);

constexpr MoveSet set_of(Move move) { return static_cast<MoveSet>(1u << move); }
constexpr bool has_move(MoveSet set, Move move) { return (set >> move & 1u) != 0; }
/// All moves of one block that are in `set`.
constexpr MoveSet moves_of(MoveSet set, std::uint8_t block) {
  return static_cast<MoveSet>(set & (set_of(move_of(block, 0)) | set_of(move_of(block, 1))));
}
constexpr BlockSet blocks_of(MoveSet set) { return static_cast<BlockSet>(set | set >> litmus::kMaxBlocks); }

}  // namespace cowherd::check
