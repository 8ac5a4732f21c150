#pragma once

// Everything of the library.

#include "cowherd/accessor.hpp"
#include "cowherd/flags.hpp"
#include "cowherd/machine.hpp"
#include "cowherd/result.hpp"
#include "cowherd/rules.hpp"
#include "cowherd/snapshot.hpp"
#include "cowherd/types.hpp"
