#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>

#include "litmus/program.hpp"

namespace cowherd::live {

/// A call of the driver's that did not do what it should.
struct CardTrouble {
  /// CUresult; 0: there was none.
  int code = 0;
  /// "cuMemHostRegister: CUDA_ERROR_INVALID_VALUE"
  std::string words;

  [[nodiscard]] bool ok() const { return words.empty(); }
};

/// CUDA_ERROR_NOT_SUPPORTED
inline constexpr int kCardCannot = 801;

/// The first graphics card of this machine, as this process has it: NVIDIA's driver, loaded when it is first asked for.
/// It gets hold of memory by cuMemHostRegister(), and reads and writes it by a program of its own that gets the address
/// that the card knows the memory by, so that no copy by the processor stands in for what the card sees. A child of
/// fork has no card where its parent has one. Calls for different devices may be made at the same time.
class Card {
 public:
  static Card& of_this_process();
  Card(const Card&) = delete;
  Card& operator=(const Card&) = delete;

  /// Why it cannot be had; empty where it can.
  [[nodiscard]] std::string problem() const;
  /// "NVIDIA H100, driver for CUDA 12.4"
  [[nodiscard]] const std::string& found() const { return found_; }

  /// The memory is held for the device of that number. `writes`: the card may write it.
  CardTrouble hold(std::uint8_t device, std::uint64_t address, std::uint64_t length, bool writes);
  CardTrouble release(std::uint8_t device);
  /// The word at `offset` of what is held.
  CardTrouble read(std::uint8_t device, std::uint64_t offset, std::int64_t& value);
  CardTrouble write(std::uint8_t device, std::uint64_t offset, std::int64_t value);

 private:
  /// Of memory that is held.
  struct Held {
    std::uint64_t address = 0;
    /// The same memory as the card addresses it.
    unsigned long long on_card = 0;
  };

  Card();
  CardTrouble open();
  CardTrouble load_programs();
  CardTrouble run(void* program, unsigned long long first, unsigned long long second);

  pid_t process_;
  std::string problem_;
  std::string found_;
  void* context_ = nullptr;
  void* load_word_ = nullptr;
  void* store_word_ = nullptr;
  /// Where the card puts a word that it has read, in its own memory; one to a device.
  unsigned long long words_ = 0;
  std::array<Held, litmus::kMaxDevices> held_{};
};

/// Whether a page of a process can be held by a card here, and what was found. A process of its own tries it.
struct CardOffer {
  bool here = false;
  std::string found;
};
CardOffer try_card();

}  // namespace cowherd::live
