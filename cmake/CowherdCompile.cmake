# How every target of the project is compiled.

function(cowherd_compile_options target)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
  if(COWHERD_WARNINGS_AS_ERRORS)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    target_compile_options(${target} PRIVATE -Wthread-safety)
  else()
    # GCC 12 sees overlapping copies in its own std::string, when "literal" + string is inlined.
    target_compile_options(${target} PRIVATE -Wno-restrict)
    if(COWHERD_SANITIZE)
      # The instrumented code defeats the analysis behind this warning.
      target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized)
    endif()
  endif()
  if(COWHERD_SANITIZE)
    target_compile_options(${target} PRIVATE
      -fsanitize=${COWHERD_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=${COWHERD_SANITIZE})
  endif()
endfunction()
