#include <string>
#include <vector>

#include "cli/command.hpp"
#include "live/guest_init.hpp"

int main(int argc, char** argv) {
  if (cowherd::live::is_guest_init()) cowherd::live::be_guest_init(cowherd::cli::run_command);
  return cowherd::cli::run_command(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}
