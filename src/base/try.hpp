#pragma once

#include "cowherd/result.hpp"

/// Leaves the function with the error of `expression`, if it has one.
#define COWHERD_TRY(expression)                          \
  do {                                                   \
    if (auto try_result_ = (expression); !try_result_) { \
      return ::cowherd::Error{try_result_.error()};      \
    }                                                    \
  } while (false)

/// As COWHERD_TRY, and otherwise defines `name` as the value.
#define COWHERD_TRY_ASSIGN(name, expression)         \
  auto name##_result_ = (expression);                \
  if (!name##_result_) {                             \
    return ::cowherd::Error{name##_result_.error()}; \
  }                                                  \
  auto name = std::move(name##_result_).value()
