#include <string>
#include <vector>

#include "cli/command.hpp"

int main(int argc, char** argv) {
  return cowherd::cli::run_command(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}
